"""On rented machines: which ones, and what their platforms would bill."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pilotlight.bench.costs import Cost, Served
from pilotlight.bench.pricing.alike import alike
from pilotlight.bench.pricing.asked import Asked
from pilotlight.bench.pricing.billing import billed, refused
from pilotlight.catalog.catalog import Catalog
from pilotlight.catalog.platform import Rentable, rentables


def chosen(
    asked: Asked, catalog: Catalog, served: Served
) -> tuple[list[Rentable], tuple[str, ...]]:
    """What to price, and notes on what the platform refuses or nobody knows."""
    everything = {each.offer.name: each for each in rentables(catalog.platforms, catalog.offers)}
    if asked.offers:
        found = [everything[catalog.offers.find(name).name] for name in asked.offers]
    elif asked.subject is not None:
        found = alike(asked.subject, everything.values())
    else:
        return [], ("no platform is priced: it isn't known what the endpoint runs on",)
    memory_bytes = asked.subject.memory_bytes if asked.subject is not None else 0
    return _allowed(found, served, memory_bytes)


def _allowed(
    found: Iterable[Rentable], served: Served, memory_bytes: int
) -> tuple[list[Rentable], tuple[str, ...]]:
    kept: list[Rentable] = []
    notes: list[str] = []
    for each in found:
        reasons = refused(each, served, memory_bytes)
        notes += [f"{each.offer.name} isn't priced: {reason}" for reason in reasons]
        if not reasons:
            kept.append(each)
    return kept, tuple(notes)


def on(rentable: Rentable, served: Served) -> Cost:
    """Named for what it is: nothing was measured there."""
    offer = rentable.offer
    gpu = f" and {offer.gpus}× {offer.gpu}" if offer.gpu else ""
    note = (
        f"as if its {offer.vcpus:g} vCPU of {offer.cpu}{gpu} were as fast as what was measured; "
        "busy as in the run, without a cold start"
    )
    if rentable.platform.family != "owned":
        return billed(rentable, served, "platform", note)
    return replace(billed(rentable, served, "own", note), energy_source="estimated-tdp")


def is_fixed(rentable: Rentable) -> bool:
    """Paid by the hour, whatever is asked of it."""
    return rentable.platform.billing.kind in ("machine", "owned")
