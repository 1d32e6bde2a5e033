"""What overflow to a model can cost, known before anything runs: declared in its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pilotlight.config import ModelSettings, OverflowSettings
from pilotlight.core import ModelRef, Price
from pilotlight.engines.base import Engine, Library
from pilotlight.engines.registry import Engines
from pilotlight.errors import ConfigError
from pilotlight.router.catalogue import nothing_of


@dataclass(frozen=True, slots=True)
class Bill:
    """Of one model: what its tokens cost, and the most of them one request can use."""

    price: Price | None = None
    context: int | None = None


def bills(models: Mapping[str, ModelSettings], engines: Engines) -> Mapping[str, Bill]:
    """The bill of each model that another one overflows to, by its name.

    Raises:
        ConfigError: a budget that nobody could keep, or a price without a budget.
    """
    names = {alias: name for name, model in models.items() for alias in (name, *model.aliases)}
    found: dict[str, Bill] = {}
    for name, model in models.items():
        if model.overflow is not None:
            target = names[model.overflow.to]
            found[target] = bill_of(models[target], engines.get(models[target].engine))
            _check(f"models.{name}.overflow", model.overflow, target, found[target])
    return found


def bill_of(model: ModelSettings, engine: Engine) -> Bill:
    """What runs here has no price, and neither has what only its server could name one for."""
    ref = ModelRef.parse(model.ref)
    if isinstance(engine, Library) or not engine.owns(ref):
        return Bill()
    files, options = nothing_of(ref), engine.options(model.options)
    return Bill(engine.capabilities(files, options).price, engine.context(files, options))


def _check(where: str, policy: OverflowSettings, target: str, bill: Bill) -> None:
    if bill.price is None and policy.usd_per_day is not None:
        raise ConfigError(
            f"{where}.usd_per_day is set, and nobody knows what {target!r} costs",
            hint=f"give models.{target}.options usd_per_mtok_in and usd_per_mtok_out, "
            "or leave usd_per_day out for a model that costs nothing by the token",
        )
    if bill.price is not None and policy.usd_per_day is None:
        raise ConfigError(
            f"{where} has no usd_per_day, and {target!r} costs money",
            hint="say how much a day it may cost at most",
        )
    if bill.price is not None and bill.context is None:
        raise ConfigError(
            f"{where}: nobody knows what one request to {target!r} can cost at most",
            hint=f"give models.{target}.options the model's context",
        )
