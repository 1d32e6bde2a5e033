"""Cold starts and idle time under random arrivals: formulas against simulation and limits."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pilotlight.planner.cost.inversion import inversion
from pilotlight.planner.cost.poisson import at_least, exactly
from pilotlight.planner.cost.pool import pool
from pilotlight.planner.cost.serving import Scaling, Serving
from pilotlight.planner.cost.usage import usage
from pilotlight.planner.traffic import MONTH_S, steady

from .simulation import service, simulated

SITUATIONS = [
    # requests/s, s each, at once, idle s, start s
    (0.002, 8, 1, 300, 0),
    (0.002, 8, 1, 300, 20),
    (0.05, 8, 1, 300, 0),
    (0.5, 8, 1, 60, 1),
    (0.5, 8, 4, 300, 0),
    (0.01, 20, 8, 60, 30),
    (2.0, 10, 8, 60, 5),
]


@pytest.mark.parametrize(("rate", "each_s", "at_once", "idle_s", "start_s"), SITUATIONS)
def test_formulas_agree_with_a_simulation(
    rate: float, each_s: float, at_once: int, idle_s: float, start_s: float
) -> None:
    serving, scaling = service(each_s, at_once), Scaling(idle_s=idle_s)
    found = usage(steady(rate, 1000, 1000), serving, scaling, start_s)
    seen = simulated(rate, serving, scaling, start_s, 60_000, seed=7)
    assert found.up_s / MONTH_S == pytest.approx(seen.up_s / MONTH_S, rel=0.08)
    assert found.busy_s == pytest.approx(seen.busy_s, rel=0.08)
    assert found.cold_starts == pytest.approx(seen.cold_starts, rel=0.2)
    if start_s:
        assert found.cold_share == pytest.approx(seen.cold_share, rel=0.5)


def test_one_instance_for_everybody_has_a_closed_form() -> None:
    """Up while anybody came in the last residence and idle time: 1 - exp(-rate·(S + T))."""
    rate, idle_s = 0.004, 200.0
    found = usage(steady(rate, 100, 100), service(1e-3, 1000), Scaling(idle_s=idle_s), 0.0)
    assert found.up_s / MONTH_S == pytest.approx(1 - math.exp(-rate * idle_s), rel=1e-3)
    assert found.cold_starts / MONTH_S == pytest.approx(rate * math.exp(-rate * idle_s), rel=1e-3)


def test_without_an_idle_time_every_crossing_is_a_cold_start() -> None:
    found = pool(0.01, 5.0, 1, 0.0, 0.0)
    assert found.cold_per_s == pytest.approx(found.starts_per_s)
    assert found.up == pytest.approx(found.busy, rel=0.05)
    assert found.busy == pytest.approx(0.05, rel=1e-4), "as many are busy as there are requests"


def test_instances_that_never_stop_never_start() -> None:
    found = pool(0.01, 5.0, 1, math.inf, 10.0)
    assert found.cold_per_s == 0
    assert all(one.up == 1 for one in found.members)


@pytest.mark.parametrize("load", [0.01, 3.0, 250.0, 40_000.0])
def test_poisson_tails_add_up(load: float) -> None:
    level = int(load) + 2
    assert at_least(load, level) == pytest.approx(
        at_least(load, level + 1) + exactly(load, level), rel=1e-9
    )
    assert at_least(load, 0) == 1


@pytest.mark.parametrize(
    ("transform", "at", "expected"),
    [
        (lambda s: 1 / (s + 1), 2.0, math.exp(-2)),
        (lambda s: 1 / s**2, 5.0, 5.0),
        (lambda s: 1 / s, 300.0, 1.0),
    ],
)
def test_laplace_transforms_are_inverted(
    transform: Callable[[complex], complex], at: float, expected: float
) -> None:
    found = sum(weight * transform(point).real for point, weight in inversion(at))
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_few_large_instances_are_always_busy_under_a_large_load() -> None:
    found = pool(100.0, 20.0, 256, 60.0, 0.0)
    assert found.busy == pytest.approx(8.5, abs=0.5), "2,000 requests on instances of 256"
    assert found.up == pytest.approx(found.busy, abs=0.5)


rates = st.floats(1e-5, 50)
residences = st.floats(0.05, 60)
at_onces = st.sampled_from([1, 2, 8, 64])


@settings(deadline=None)
@example(0.25, 1.0, 1, 1.0, 5e-324)
@given(rates, residences, at_onces, st.floats(1, 3600), st.floats(0, 120))
def test_shares_and_rates_are_possible_ones(
    rate: float, each_s: float, at_once: int, idle_s: float, start_s: float
) -> None:
    found = pool(rate, each_s, at_once, idle_s, start_s)
    for one in found.members:
        assert 0 <= one.busy <= one.up <= 1
        assert 0 <= one.cold_per_s <= one.starts_per_s * (1 + 1e-9)
        assert one.up + one.cold_per_s * start_s <= 1 + 1e-6
    assert found.busy * at_once >= rate * each_s * 0.5 or start_s > 0


@settings(deadline=None)
@given(rates, residences, at_onces, st.floats(1, 1800))
def test_a_longer_idle_time_has_fewer_cold_starts_and_more_time_up(
    rate: float, each_s: float, at_once: int, idle_s: float
) -> None:
    short, long = (pool(rate, each_s, at_once, seconds, 0.0) for seconds in (idle_s, 2 * idle_s))
    assert long.cold_per_s <= short.cold_per_s + 1e-6 * rate
    assert long.up >= short.up - 1e-5


@settings(deadline=None)
@given(rates, st.floats(0.1, 20), st.floats(1, 5), st.sampled_from([1, 4, 32]))
def test_a_batch_settles_between_alone_and_full(
    rate: float, alone_s: float, slower: float, at_once: int
) -> None:
    serving = Serving(
        prefill_s=alone_s / 4,
        decode_s=alone_s * 3 / 4,
        full_s=alone_s * slower,
        concurrency=at_once,
        capacity_per_s=at_once / (alone_s * slower),
    )
    settled_s = serving.settled_s(rate)
    assert alone_s * (1 - 1e-9) <= settled_s <= alone_s * slower * (1 + 1e-9)


def test_office_hours_start_and_idle_out_once_a_day() -> None:
    """At two requests a second nothing stops in the day; each night everything does."""
    serving, scaling = service(4.0, 64), Scaling(idle_s=600.0)
    found = usage(steady(2.0, 100, 100, 8), serving, scaling, 30.0)
    days = MONTH_S / 86400
    assert found.cold_starts == pytest.approx(days, rel=0.01)
    assert found.up_s == pytest.approx(days * (8 * 3600 + 600), rel=0.01)
    assert found.cold_share == pytest.approx(61 / (2 * 8 * 3600), rel=0.05)


def test_standby_instances_take_the_first_requests() -> None:
    serving = service(5.0)
    none, one, many = (
        usage(steady(0.05, 100, 100), serving, Scaling(minimum=count, idle_s=300.0), 10.0)
        for count in (0, 1, 30)
    )
    assert none.cold_share > one.cold_share > many.cold_share == pytest.approx(0, abs=1e-6)
    assert none.busy_s == pytest.approx(one.busy_s + one.standby_busy_s, rel=0.02)
    assert many.standby_s == 30 * MONTH_S


def test_always_on_has_the_replicas_that_the_peak_needs() -> None:
    found = usage(steady(10.0, 100, 100, 12), service(4.0, 16), Scaling(), 60.0)
    assert (found.peak_instances, found.cold_starts) == (3, 0)
    assert found.standby_s == 3 * MONTH_S
