"""API prices from the `genai-prices` package, whose wheel holds them: no network is asked.

The package is an extra, for it brings pydantic and an HTTP client, 19 MB that nothing else here
needs. What a plan compares with by default is data/apis.yaml, written with this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any

from pilotlight.catalog.api import ApiPrice
from pilotlight.catalog.model import CatalogModel
from pilotlight.catalog.table import Table
from pilotlight.errors import ConfigError

_SERVED_AS = re.compile(r"(-(instruct|chat|it|turbo|versatile|instant|fp8|fast|lite|hf|basic))+$")


def published(models: Table[CatalogModel], day: date) -> Iterator[ApiPrice]:
    """Every text model's price in force on `day`; those of `models` linked to them.

    Tiers for long prompts are left out: the price is that of the first tier.

    Raises:
        ConfigError: the package isn't installed.
    """
    package = _package()
    source = f"genai-prices {package.__version__}"
    as_of = _last_change(package.data.providers, day)
    now = datetime.combine(day, time(12), UTC)
    for provider in package.data.providers:
        for model in provider.models:
            price = model.get_prices(now)
            if model.deprecated or price.input_mtok is None or price.output_mtok is None:
                continue
            yield ApiPrice(
                name=f"{provider.id}/{model.id}",
                source=source,
                as_of=as_of,
                provider=provider.id,
                api_model=model.id,
                input_usd_per_mtok=_first_tier(price.input_mtok),
                output_usd_per_mtok=_first_tier(price.output_mtok),
                cached_input_usd_per_mtok=_cached(price),
                model=_open_model(model.id, models),
            )


def _package() -> Any:
    try:
        import genai_prices
        import genai_prices.data
    except ImportError:
        raise ConfigError(
            "the package genai-prices isn't installed", hint="pip install 'pilotlight[prices]'"
        ) from None
    return genai_prices


def _last_change(providers: Any, day: date) -> date:
    """The newest price change it knows of: its data has no date of its own."""
    starts = (
        conditional.constraint.start_date
        for provider in providers
        for model in provider.models
        if isinstance(model.prices, list)
        for conditional in model.prices
        if hasattr(conditional.constraint, "start_date")
    )
    return max((start for start in starts if start <= day), default=day)


def _first_tier(price: Any) -> float:
    return float(getattr(price, "base", price))


def _cached(price: Any) -> float | None:
    return None if price.cache_read_mtok is None else _first_tier(price.cache_read_mtok)


def _open_model(api_model: str, models: Table[CatalogModel]) -> str | None:
    """Providers add how they serve a model to its name, and write 3p1 for 3.1."""
    own = re.sub(r"(\d)p(\d)", r"\1.\2", api_model.rpartition("/")[2].lower())
    own = re.sub(r"-v(?=\d)", "-", own)
    found = models.seek(own) or models.seek(_SERVED_AS.sub("", own))
    return found.name if found else None


def as_yaml(prices: Iterator[ApiPrice]) -> str:
    """A catalog file of `prices`."""
    lines = ["apis:"]
    for price in prices:
        lines += [
            f"  {price.name!r}:",
            f"    provider: {price.provider}",
            f"    api_model: {price.api_model!r}",
            f"    input_usd_per_mtok: {price.input_usd_per_mtok:g}",
            f"    output_usd_per_mtok: {price.output_usd_per_mtok:g}",
        ]
        if price.cached_input_usd_per_mtok is not None:
            lines.append(f"    cached_input_usd_per_mtok: {price.cached_input_usd_per_mtok:g}")
        if price.model:
            lines.append(f"    model: {price.model}")
        lines += [f"    source: {price.source}", f"    as_of: {price.as_of}"]
    return "\n".join(lines) + "\n"
