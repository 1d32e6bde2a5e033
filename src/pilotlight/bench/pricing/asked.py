"""What a stage is to be priced as."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.bench.pricing.alike import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """What the machine itself cost, over the years that it lasts."""

    capital_usd: float
    years: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A size to be priced as the starting serverless study priced its own."""

    vcpus: float
    memory_gib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Without `subject` it isn't known what it ran on: then no platform is picked, and only
    `offers` are priced."""

    subject: Subject | None = None
    model: str | None = None
    """A catalog's, for APIs that sell the same."""

    usd_per_kwh: float | None = None
    """None: the catalog's tariff for machines of one's own."""

    owned: Owned | None = None
    offers: tuple[str, ...] = ()
    """Names in the catalog; where there are none, those like the subject's machine."""

    apis: tuple[str, ...] = ()
    """Names in the catalog; where there are none, the usual ones."""

    study: Container | None = None
