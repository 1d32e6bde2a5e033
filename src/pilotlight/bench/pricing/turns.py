"""From what load on a machine at a fixed price beats paying by the token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotlight.bench.costs import Cost, Served, Turn
from pilotlight.planner.cost.break_even import BreakEven, Curve, break_even
from pilotlight.planner.figures import number
from pilotlight.planner.traffic import MONTH_S


def turns(machines: Sequence[Cost], apis: Sequence[Cost], served: Served) -> Iterator[Turn]:
    requests = served.requests_per_s * MONTH_S
    for machine in machines:
        curve = _machines(machine.usd_per_month or 0.0)
        for api in apis:
            found = break_even(curve, Curve.by_token(api.usd_per_month or 0.0))
            yield _turn(machine, api, found, requests)


def _machines(usd_per_month: float) -> Curve:
    """One for any load up to the measured one; beyond it as many more as the load is more.

    A part of a machine can't be had, but its steps would only hide on which side of them it pays.
    """
    return Curve.of(lambda scale: max(1.0, scale) * usd_per_month)


def _turn(machine: Cost, api: Cost, found: BreakEven, requests: float) -> Turn:
    at = None if found.scale is None else found.scale * requests
    return Turn(
        one=machine.name,
        other=api.name,
        requests_per_month=at,
        cheaper=found.cheaper,
        text=_text(f"{machine.name} is", f"cheaper than {api.name}", found, requests),
    )


def _text(subject: str, predicate: str, found: BreakEven, requests: float) -> str:
    if found.scale is None:
        return f"{subject} {found.cheaper} {predicate}"
    side = "from" if found.cheaper == "above" else "up to"
    at = number(found.scale * requests)
    return f"{subject} {predicate} {side} {at} requests a month ({found.scale:.2g}× this load)"
