"""What a deployment's measured tokens cost at the platform where they were measured."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from pilotlight.bench.costs import Costs, Served
from pilotlight.bench.pricing.billing import billed

if TYPE_CHECKING:
    from pilotlight.catalog.platform import Rentable
    from pilotlight.meter.energy import Energy


def prices(
    rentable: Rentable | None, title: str
) -> Callable[[Served, Energy | None], Costs] | None:
    """For `bench.instruments`; None where nobody knows what it costs there."""
    return None if rentable is None else partial(_costs, rentable, title)


def _costs(rentable: Rentable, title: str, served: Served, energy: Energy | None) -> Costs:
    del energy  # nobody meters a machine that is elsewhere
    note = f"measured on {title}; busy as in the run, without a cold start"
    return Costs(served=served, ways=(billed(rentable, served, "platform", note),))
