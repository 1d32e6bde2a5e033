"""Which plan comes first, and by how much one breaks what was asked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from pilotlight.metrics import Metrics, Spread
from pilotlight.planner.figures import milliseconds
from pilotlight.planner.pareto import front
from pilotlight.planner.plan import Plan
from pilotlight.planner.refusal import Obstacle
from pilotlight.planner.requirements import Requirements, ServiceLevel

SAME_PRICE = 1.02
"""Prices this close are the same: a list price is no better known, a prediction less so."""


def ranked(plans: Iterable[Plan]) -> tuple[Plan, ...]:
    """By dollars for a million tokens within the service level.

    At the same price a larger model goes first, for it is the abler one, then more bits, for they
    lose less, then what is quicker.
    """
    return tuple(
        sorted(
            plans,
            key=lambda plan: (
                _price(plan),
                -plan.deployment.parameters,
                -round(plan.deployment.bits_per_weight),
                latency_ms(plan),
                plan.deployment.replicas,
                plan.name,
            ),
        )
    )


def undominated(plans: Sequence[Plan]) -> tuple[Plan, ...]:
    """Those that no other beats in both cost and latency, the cheapest first."""
    return front(plans, lambda plan: plan.money.usd_per_mtok, latency_ms)


def numbered(plans: Iterable[Plan]) -> tuple[Plan, ...]:
    return tuple(replace(plan, rank=rank) for rank, plan in enumerate(plans, start=1))


def _price(plan: Plan) -> int:
    return round(math.log(max(plan.money.usd_per_mtok, 1e-9)) / math.log(SAME_PRICE))


def latency_ms(plan: Plan) -> float:
    """Time per token as the unlucky get it: what a reader feels for the whole answer."""
    spread = plan.metrics.tpot_tail_ms or plan.metrics.tpot_ms
    return spread.median if spread is not None else float("inf")


def excess(plan: Plan, asked: Requirements) -> float:
    """By how much the worst limit is broken, as a share of it; 0 for a plan that keeps them all."""
    return max(*latency_excesses(plan.metrics, asked.service), _cost_excess(plan, asked), 0.0)


def obstacle(plan: Plan, asked: Requirements) -> Obstacle:
    """What stands in the way of a plan that keeps not all limits."""
    slow = max(latency_excesses(plan.metrics, asked.service)) > 0
    return "speed" if slow or plan.speed.attainment < asked.service.percentile / 100 else "cost"


def latency_excesses(metrics: Metrics, service: ServiceLevel) -> tuple[float, float]:
    """Of the tails of TTFT and TPOT over their limits; below 0 where there is room."""
    return (
        _over(metrics.ttft_tail_ms, service.ttft_ms),
        _over(metrics.tpot_tail_ms, service.tpot_ms),
    )


def _over(spread: Spread | None, limit: float | None) -> float:
    return spread.median / limit - 1 if spread is not None and limit is not None else 0.0


def _cost_excess(plan: Plan, asked: Requirements) -> float:
    budget = asked.limits.usd_per_month
    return plan.money.usd_per_month / budget - 1 if budget is not None else 0.0


def broken(metrics: Metrics, service: ServiceLevel) -> Iterator[str]:
    """Which latency limits the tail breaks, in words."""
    where = f"p{service.percentile:g}"
    for name, spread, limit in (
        ("TTFT", metrics.ttft_tail_ms, service.ttft_ms),
        ("TPOT", metrics.tpot_tail_ms, service.tpot_ms),
    ):
        if spread is not None and limit is not None and spread.median > limit:
            yield f"{where} {name} {milliseconds(spread.median)} > {milliseconds(limit)}"
