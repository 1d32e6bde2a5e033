"""What a plan costs at other loads, where it meets its rivals, and what would change the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pilotlight.errors import PlanError
from pilotlight.planner.cost.break_even import BreakEven, Curve, break_even
from pilotlight.planner.cost.price import api_usd_per_month
from pilotlight.planner.figures import dollars, milliseconds, number
from pilotlight.planner.plan import Answer, Plan
from pilotlight.planner.requirements import Requirements, ServiceLevel
from pilotlight.planner.search import Search

LOADS = (0.01, 0.03, 0.1, 0.3, 0.5, 2.0, 3.0, 10.0, 30.0, 100.0)
RIVALS = 24
"""Offers that are looked at again when something changes: the best of each, cheapest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Where a plan and a rival cost the same; `at_per_s` in requests/s of the busiest hour."""

    rival: str
    rival_usd_per_month: float
    at_per_s: float | None
    cheaper: Literal["above", "below", "always", "never"]

    @property
    def text(self) -> str:
        price = f"{dollars(self.rival_usd_per_month)} a month"
        if self.at_per_s is None:
            return f"{price}; this plan is {self.cheaper} cheaper, whatever the load"
        return f"{price}; this plan is cheaper {self.cheaper} {number(self.at_per_s)} requests/s"


def against_apis(
    plan: Plan, search: Search, asked: Requirements, names: Sequence[str]
) -> Iterator[Crossing]:
    """Against each of the APIs named, as the same traffic costs there."""
    own = search.curve(plan, asked)
    for name in names:
        theirs = api_usd_per_month(search.facts.apis[name], asked.traffic)
        yield _crossing(name, theirs, break_even(own, Curve.by_token(theirs)), asked)


def against_next(answer: Answer, plan: Plan, search: Search) -> Crossing | None:
    """Against the best plan on other hardware or elsewhere."""
    rival = next((p for p in answer.plans if _hardware(p) != _hardware(plan)), None)
    if rival is None:
        return None
    asked = answer.asked
    found = break_even(search.curve(plan, asked), search.curve(rival, asked))
    return _crossing(rival.name, rival.money.usd_per_month, found, asked)


def _crossing(rival: str, usd: float, found: BreakEven, asked: Requirements) -> Crossing:
    return Crossing(
        rival=rival,
        rival_usd_per_month=usd,
        at_per_s=None if found.scale is None else found.scale * asked.requests_per_s,
        cheaper=found.cheaper,
    )


def _plans(search: Search, asked: Requirements) -> tuple[Plan, ...]:
    try:
        return search.answer(asked).plans
    except PlanError:
        return ()


def _hardware(plan: Plan) -> tuple[object, ...]:
    d = plan.deployment
    return d.platform, d.gpu, d.gpus, d.offer


def changes(answer: Answer, search: Search) -> Iterator[tuple[str, str]]:
    """What another load or service level would make of the answer: (what if, then)."""
    if not answer.plans:
        return
    rivals = search.only(_best_of_each(answer.plans)[:RIVALS])
    asked, best = answer.asked, answer.plans[0]
    yield from _by_load(rivals, asked, best)
    yield from _by_service(rivals, asked, best)


def _best_of_each(plans: Sequence[Plan]) -> list[Plan]:
    seen: dict[tuple[object, ...], Plan] = {}
    for plan in plans:
        seen.setdefault(_hardware(plan), plan)
    return list(seen.values())


def _by_load(search: Search, asked: Requirements, best: Plan) -> Iterator[tuple[str, str]]:
    """The nearest load on either side at which another plan is the cheapest."""
    for factors in (reversed([f for f in LOADS if f < 1]), [f for f in LOADS if f > 1]):
        for factor in factors:
            plans = _plans(search, replace(asked, traffic=asked.traffic.scaled(factor)))
            if plans and plans[0].kind != best.kind:
                yield (
                    f"{factor:g} times the load ({number(asked.requests_per_s * factor)} /s)",
                    _then(plans[0]),
                )
                break


def _by_service(search: Search, asked: Requirements, best: Plan) -> Iterator[tuple[str, str]]:
    """Half and twice of each limit."""
    if asked.mode == "batch":
        return
    for what, service in _other_services(asked.service):
        plans = _plans(search, replace(asked, service=service))
        if not plans:
            yield what, "no plan at all"
        elif plans[0].kind != best.kind:
            yield what, _then(plans[0])


def _other_services(service: ServiceLevel) -> Iterator[tuple[str, ServiceLevel]]:
    for factor in (0.5, 2.0):
        if service.ttft_ms is not None:
            limit_ms = service.ttft_ms * factor
            yield f"TTFT ≤ {milliseconds(limit_ms)}", replace(service, ttft_ms=limit_ms)
        if service.tpot_ms is not None:
            limit_ms = service.tpot_ms * factor
            yield f"TPOT ≤ {milliseconds(limit_ms)}", replace(service, tpot_ms=limit_ms)


def _then(plan: Plan) -> str:
    return f"{plan.name}: {dollars(plan.money.usd_per_month)} a month"
