"""A sweep's steps over machines with known saturation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.bench.numbers import Stability, Verdict
from pilotlight.bench.profile.repeats import Repeats, another
from pilotlight.bench.profile.sweep import Climb, Step, best, next_users


def swept(throughput: dict[int, float] | float, climb: Climb) -> list[Step]:
    """With a number it grows in proportion up to that many users."""
    steps: list[Step] = []
    while (users := next_users(steps, climb)) is not None:
        known = isinstance(throughput, dict)
        got = throughput.get(users) if known else min(users, throughput)
        steps.append(Step(users, got))
        assert len(steps) < 50
    return steps


@given(st.integers(1, 4096))
def test_it_goes_two_steps_beyond_saturation(slots: int) -> None:
    steps = swept(float(slots), Climb(most=1 << 20))
    users = [step.users for step in steps]
    assert users == [1 << power for power in range(len(users))]
    assert users[-3] >= slots * 0.95
    assert steps[best(steps)].throughput == pytest.approx(slots, rel=0.06)


def test_one_noisy_step_is_not_the_end() -> None:
    steps = swept({1: 10, 2: 9, 4: 30, 8: 31, 16: 30}, Climb())
    assert [step.users for step in steps] == [1, 2, 4, 8, 16]
    assert steps[best(steps)].users == 4, "eight bring 3 % and wait twice as long"


def test_it_ends_at_its_bound_and_where_nobody_is_answered() -> None:
    assert [step.users for step in swept(1e9, Climb(most=12))] == [1, 2, 4, 8, 12]
    assert [step.users for step in swept({1: 10.0, 2: 20.0}, Climb())] == [1, 2, 4]


def verdict(said: Verdict, more_runs: int | None = None) -> Stability:
    return Stability(verdict=said, why="", figure="e2e_ms", runs=1, goal=0.05, more_runs=more_runs)


@pytest.mark.parametrize(
    ("stability", "runs", "more"),
    [
        (verdict("stable"), 1, True),
        (verdict("stable"), 2, False),
        (verdict("unstable", 3), 2, True),
        (verdict("unstable"), 2, True),
        (verdict("unstable", 3), 5, False),
        (verdict("too short", None), 2, True),
        (verdict("not steady"), 2, False),
        (None, 3, False),
    ],
)
def test_runs_until_stable(stability: Stability | None, runs: int, more: bool) -> None:
    assert another(stability, runs, Repeats(least=2, most=5)) is more
