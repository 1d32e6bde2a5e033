"""What the engine itself says of a plan's memory, instead of the formula."""

from __future__ import annotations

from functools import lru_cache

from pilotlight.core import Footprint
from pilotlight.planner.engine_word import with_footprint
from pilotlight.planner.plan import Answer

from .searches import answer, asked, facts_of

GIB = 2**30


@lru_cache(maxsize=1)
def planned() -> Answer:
    return answer("llama-3.1-8b", asked(0.01), facts_of("own-desktop-4090"))


def test_it_goes_before_the_formula() -> None:
    best = planned().plans[0]
    found = with_footprint(planned(), best, Footprint(2 * GIB, {"CUDA0": 7 * GIB}, source="engine"))
    assert (best.memory.rule, found.plans[0].memory.rule) == ("formula", "engine")
    assert found.plans[0].memory.used_bytes == 7 * GIB
    assert found.plans[0].deployment == best.deployment
    assert found.plans[0] in found.front or best not in planned().front
    assert len(found.plans) == len(planned().plans)


def test_a_plan_that_doesnt_fit_by_it_makes_place_for_the_next() -> None:
    best, second = planned().plans[:2]
    found = with_footprint(planned(), best, Footprint(GIB, {"CUDA0": 99 * GIB}, source="engine"))
    assert found.plans[0].kind == second.kind
    assert found.plans[0].rank == 1
    assert best.kind not in {plan.kind for plan in (*found.plans, *found.front)}
    assert found.rejections[0].family == best.name
    assert "doesn't fit by" in found.rejections[0].reason


def test_the_last_plan_stays_as_what_comes_nearest() -> None:
    left = planned()
    while left.plans:
        left = with_footprint(left, left.plans[0], Footprint(999 * GIB, {}, source="engine"))
    assert not left.front
    assert [plan.rank for plan in left.nearest] == [1]
    assert left.nearest[0].misses
