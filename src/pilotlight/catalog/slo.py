"""Service levels people agree on, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pilotlight.catalog.row import Bounds, Positive, Row

Percentile = Annotated[float, Bounds(above=0, at_most=100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo(Row):
    """Bounds on latency that `percentile` of the requests keep; both None: only throughput."""

    title: str
    ttft_ms: Positive | None = None
    tpot_ms: Positive | None = None
    percentile: Percentile
    interactive: bool
    model: str | None = None
    """The catalog's model it was set for; None: for any."""
