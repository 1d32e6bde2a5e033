"""Platforms and uses small enough to work a bill out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from pilotlight.catalog.billing import Billing
from pilotlight.catalog.platform import Limits, Offer, Platform, Provision, Rentable
from pilotlight.planner.coldstart import ColdStart
from pilotlight.planner.cost.usage import Span, Usage

WARM = ColdStart(())
"""Of what never starts."""

DATED: dict[str, Any] = {"source": "a test", "as_of": date(2026, 11, 20)}


def rentable(billing: Billing, **offer: Any) -> Rentable:
    """2 vCPUs and 4 GiB, unless told."""
    size: dict[str, Any] = {"vcpus": 2, "memory_gib": 4, "cpu": "any", **offer}
    return Rentable(
        Platform(
            name="there",
            title="There",
            provider="somebody",
            family="container",
            limits=Limits(scale_to_zero=billing.kind != "owned", idle_s=300),
            provision=Provision(boot_s=1, boot_billed=False, fetch_mb_s=100, basis="a test"),
            billing=billing,
            **DATED,
        ),
        Offer(name="small", platform="there", **size, **DATED),
    )


_NONE = Usage(
    requests=0,
    input_tokens=0,
    output_tokens=1e6,
    spans=(),
    busy_s=0,
    busy_spans=0,
    up_s=0,
    cold_starts=0,
    waiting=0,
    standby_s=0,
    standby_busy_s=0,
    standby_busy_spans=0,
    peak_instances=1,
    work_load=0.5,
)


def used(**what: Any) -> Usage:
    return replace(_NONE, **what)


def spans(*each: tuple[float, float]) -> tuple[Span, ...]:
    return tuple(Span(seconds, count) for seconds, count in each)
