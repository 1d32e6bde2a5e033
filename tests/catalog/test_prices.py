"""API prices: those shipped, and those of the package they come from."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest

from pilotlight.catalog import Catalog, load
from pilotlight.catalog.published import as_yaml, published
from pilotlight.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "in_usd", "out_usd"),
    [
        ("openai/gpt-4o", 2.5, 10),
        ("openai/gpt-4o-mini", 0.15, 0.60),
        ("openai/gpt-4.1-mini", 0.4, 1.6),
        ("openai/gpt-5", 1.25, 10),
        ("openai/gpt-5-mini", 0.25, 2),
        ("anthropic/claude-sonnet-4-5", 3, 15),
        ("anthropic/claude-haiku-4-5", 1, 5),
        ("google/gemini-2.5-flash", 0.3, 2.5),
    ],
)
def test_the_reference_prices(name: str, in_usd: float, out_usd: float, shipped: Catalog) -> None:
    price = shipped.apis[name]
    assert (price.input_usd_per_mtok, price.output_usd_per_mtok) == (in_usd, out_usd)


def test_hosted_open_models_are_linked_to_the_model(shipped: Catalog) -> None:
    hosted = [p for p in shipped.apis.values() if p.model == "llama-3.1-8b"]
    assert len(hosted) >= 5
    assert 0.02 <= min(p.input_usd_per_mtok for p in hosted) <= 0.1
    assert any(p.model == "gpt-oss-120b" for p in shipped.apis.values())


def test_a_price_is_of_both_directions(shipped: Catalog) -> None:
    assert shipped.apis["openai/gpt-4o"].usd(1_000_000, 500_000) == pytest.approx(2.5 + 5)


def test_what_is_shipped_is_what_its_package_says(shipped: Catalog) -> None:
    """Where the very version is installed that the rows name as their source."""
    package = pytest.importorskip("genai_prices")
    sources = {price.source for price in shipped.apis.values()}
    if sources != {f"genai-prices {package.__version__}"}:
        pytest.skip(f"another version is installed than {sources}")
    day = date(2026, 11, 20)
    there = {price.name: price for price in published(shipped.models, day)}
    assert {name: there[name] for name in shipped.apis} == dict(shipped.apis)


def test_published_prices_can_be_laid_over_the_catalog(tmp_path: Path, shipped: Catalog) -> None:
    pytest.importorskip("genai_prices")
    some = [p for p in published(shipped.models, date(2026, 11, 20)) if p.provider == "groq"]
    path = tmp_path / "prices.yaml"
    path.write_text(as_yaml(iter(some)))
    loaded = load([path])
    assert {price.name: price for price in some}.items() <= dict(loaded.apis).items()


def test_prices_in_force_depend_on_the_day(shipped: Catalog) -> None:
    pytest.importorskip("genai_prices")
    name = "novita/meta-llama/llama-3.1-8b-instruct"
    usd = [
        next(p for p in published(shipped.models, day) if p.name == name).input_usd_per_mtok
        for day in (date(2026, 10, 17), date(2026, 10, 18))
    ]
    assert usd == [0.05, 0.02]


def test_without_the_package_it_says_how_to_get_it(
    shipped: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    with pytest.raises(ConfigError, match="genai-prices isn't installed") as caught:
        next(published(shipped.models, date(2026, 11, 20)))
    assert caught.value.hint == "pip install 'pilotlight[prices]'"
