"""The kinds of rows there are: what a data file may hold, and how soon it is out of date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pilotlight.catalog.api import ApiPrice
from pilotlight.catalog.hardware import Cpu, Gpu
from pilotlight.catalog.model import CatalogModel
from pilotlight.catalog.platform import Offer, Platform
from pilotlight.catalog.quantization import Quantization
from pilotlight.catalog.row import Row
from pilotlight.catalog.slo import Slo


@dataclass(frozen=True, slots=True)
class Kind:
    """`name` is the key in data files; a row older than `limit_days` deserves another look."""

    name: str
    row: type[Row]
    singular: str
    limit_days: int | None = None


# Prices move in months, what engines support and what people ask for in years; hardware and
# published shapes stay what they were.
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("gpus", Gpu, "GPU"),
        Kind("cpus", Cpu, "CPU"),
        Kind("quantizations", Quantization, "quantization", limit_days=730),
        Kind("models", CatalogModel, "model"),
        Kind("slos", Slo, "service level", limit_days=730),
        Kind("platforms", Platform, "platform", limit_days=90),
        Kind("offers", Offer, "offer", limit_days=90),
        Kind("apis", ApiPrice, "API price", limit_days=90),
    )
}
