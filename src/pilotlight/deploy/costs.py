"""What a release costs by the hour, by its platform's own rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pilotlight.catalog.platform import Rentable
from pilotlight.deploy.release import Release
from pilotlight.planner.coldstart import ColdStart
from pilotlight.planner.cost.rules import items
from pilotlight.planner.cost.usage import Span, Usage
from pilotlight.planner.traffic import HOURS_PER_MONTH, MONTH_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Hourly:
    """Dollars an hour. Requests' own fees come on top; free amounts aren't taken off."""

    platform: str
    offer: str
    busy_usd: float
    """Of one instance that always has a request."""

    idle_usd: float
    """Of one that was started for a request, and waits for the next; 0 where that is free."""

    standby_usd: float
    """Of all those kept ready, while nobody asks."""

    standby: int
    """How many those are."""

    arithmetic: tuple[str, ...]
    source: str
    as_of: str


def hourly(release: Release[Any], rentable: Rentable) -> Hourly:
    """By way of a month, which is what the rules are for."""
    standby = release.scaling.minimum
    month = {
        "busy": _usage(busy_s=MONTH_S, up_s=MONTH_S, spans=(Span(MONTH_S, 1.0),)),
        "idle": _usage(up_s=MONTH_S),
        "standby": _usage(standby_s=standby * MONTH_S, peak_instances=standby),
    }
    usd, lines = {}, []
    for name, usage in month.items():
        bill = items(rentable, usage, ColdStart(())) if usage.peak_instances else ()
        usd[name] = sum(item.usd for item in bill) / HOURS_PER_MONTH
        lines += [f"{name}, a month: {item.arithmetic}" for item in bill]
    return Hourly(
        platform=rentable.platform.title,
        offer=rentable.offer.name,
        busy_usd=usd["busy"],
        idle_usd=usd["idle"],
        standby_usd=usd["standby"],
        standby=standby,
        arithmetic=tuple(lines),
        source=rentable.platform.source,
        as_of=rentable.as_of,
    )


def _usage(
    *,
    busy_s: float = 0.0,
    up_s: float = 0.0,
    spans: tuple[Span, ...] = (),
    standby_s: float = 0.0,
    peak_instances: int = 1,
) -> Usage:
    """No requests and no starts: neither of them is an hour's."""
    return Usage(
        requests=0.0,
        input_tokens=0.0,
        output_tokens=0.0,
        spans=spans,
        busy_s=busy_s,
        busy_spans=0.0,
        up_s=up_s,
        cold_starts=0.0,
        waiting=0.0,
        standby_s=standby_s,
        standby_busy_s=0.0,
        standby_busy_spans=0.0,
        peak_instances=peak_instances,
        work_load=1.0,
    )
