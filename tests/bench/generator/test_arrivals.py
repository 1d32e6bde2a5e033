"""Schedules have the rate, the spread and the end that were asked for, and repeat."""

from __future__ import annotations

import statistics
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.bench.arrivals import arrivals, check
from pilotlight.bench.load import Load
from pilotlight.errors import BenchError


def times(count: int, **load: Any) -> list[float]:
    return list(islice(arrivals(Load(**load)), count))


def gaps(due_s: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(due_s)]


def test_constant_arrivals_are_evenly_spaced() -> None:
    assert times(4, kind="constant", requests_per_s=4) == [0.0, 0.25, 0.5, 0.75]


def test_constant_arrivals_do_not_drift() -> None:
    assert times(30_001, kind="constant", requests_per_s=3)[-1] == 10_000.0


def test_nothing_is_due_at_or_after_the_end() -> None:
    assert times(99, kind="constant", requests_per_s=4, duration_s=1.0) == [0.0, 0.25, 0.5, 0.75]


def test_poisson_gaps_are_exponential() -> None:
    """Their mean is 1/rate, and so is their deviation."""
    found = gaps(times(40_000, kind="poisson", requests_per_s=50, seed=3))
    assert statistics.mean(found) == pytest.approx(0.02, rel=0.02)
    assert statistics.stdev(found) == pytest.approx(0.02, rel=0.03)


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
def test_gamma_gaps_have_the_variation_asked_for(burstiness: float) -> None:
    found = gaps(times(60_000, kind="gamma", requests_per_s=10, burstiness=burstiness, seed=1))
    mean, variance = statistics.mean(found), statistics.variance(found)
    assert mean == pytest.approx(0.1, rel=0.03)
    assert variance / mean**2 == pytest.approx(burstiness, rel=0.08)


def test_burstiness_is_of_gamma_alone() -> None:
    assert times(50, kind="poisson", requests_per_s=5, burstiness=9.0) == times(
        50, kind="poisson", requests_per_s=5
    )


def test_a_ramp_has_as_many_as_its_mean_rate_says() -> None:
    due_s = times(9999, kind="ramp", requests_per_s=0, to_requests_per_s=20, duration_s=10)
    assert len(due_s) == 100
    assert sum(moment < 5 for moment in due_s) == 25  # half of the time at a quarter of the sum


def test_a_ramp_may_fall() -> None:
    due_s = times(9999, kind="ramp", requests_per_s=20, to_requests_per_s=0, duration_s=10)
    assert sum(moment < 5 for moment in due_s) == 75
    assert len(due_s) == 100


def test_a_level_ramp_is_constant() -> None:
    level = times(40, kind="ramp", requests_per_s=4, to_requests_per_s=4, duration_s=10)
    assert level == times(40, kind="constant", requests_per_s=4, duration_s=10)


@pytest.mark.parametrize("kind", ["closed", "replay"])
def test_answers_and_traces_have_no_schedule(kind: Any) -> None:
    assert times(9, kind=kind, concurrency=2) == []


@given(
    kind=st.sampled_from(["constant", "poisson", "gamma", "ramp"]),
    rate=st.floats(0.1, 5000),
    end=st.floats(0.1, 5000),
    burstiness=st.floats(0.1, 10),
    seed=st.integers(0, 2**32),
)
def test_schedules_repeat_and_never_fall(
    kind: Any, rate: float, end: float, burstiness: float, seed: int
) -> None:
    load = Load(
        kind=kind,
        requests_per_s=rate,
        to_requests_per_s=end,
        burstiness=burstiness,
        duration_s=30.0,
        seed=seed,
    )
    due_s = list(islice(arrivals(load), 200))
    assert due_s == list(islice(arrivals(load), 200))
    assert due_s == sorted(due_s)
    assert all(0 <= moment < 30.0 for moment in due_s)


@pytest.mark.parametrize(
    ("load", "named"),
    [
        (Load(kind="closed"), "concurrency"),
        (Load(kind="closed", concurrency=0), "concurrency"),
        (Load(kind="poisson"), "requests_per_s"),
        (Load(kind="constant", requests_per_s=0.0), "requests_per_s"),
        (Load(kind="constant", requests_per_s=float("nan")), "requests_per_s"),
        (Load(kind="gamma", requests_per_s=1.0, burstiness=0.0), "burstiness"),
        (Load(kind="ramp", requests_per_s=1.0, to_requests_per_s=2.0), "duration_s"),
        (Load(kind="replay", speed=-1.0), "speed"),
        (Load(kind="closed", concurrency=1, warmup_requests=-1), "warmup_requests"),
        (Load(kind="poisson", requests_per_s=1.0, most_at_once=0), "most_at_once"),
        (Load(kind="square"), "square"),  # type: ignore[arg-type]
        (
            Load(kind="ramp", requests_per_s=0.0, to_requests_per_s=0.0, duration_s=1.0),
            "0 requests/s",
        ),
    ],
)
def test_a_load_that_cannot_be_is_refused_by_name(load: Load, named: str) -> None:
    with pytest.raises(BenchError, match=named) as caught:
        check(load)
    assert caught.value.hint


def test_a_whole_load_passes() -> None:
    check(Load(kind="gamma", requests_per_s=2.0, burstiness=4.0, duration_s=5.0, requests=10))
    check(Load(kind="ramp", requests_per_s=0.0, to_requests_per_s=2.0, duration_s=5.0))
