"""Figures of samples with known answers, and bounds that hold what they promise."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.bench.figures import Estimate
from pilotlight.bench.statistics.bootstrap import (
    block_quantile_bounds,
    proportion,
    quantile_bounds,
    rate,
)
from pilotlight.bench.statistics.dependence import block_length, blocks, neighbours
from pilotlight.bench.statistics.distributions import clustered, distribution, percentile
from pilotlight.bench.statistics.quantiles import box, quantile
from pilotlight.bench.statistics.ratios import paired, ratio
from pilotlight.bench.statistics.student import mean_of, needed, t_975


def autoregressive(seed: int, count: int, memory: float) -> list[float]:
    draw = Random(seed)
    series = [draw.gauss(0, 1)]
    for _ in range(count - 1):
        series.append(memory * series[-1] + draw.gauss(0, (1 - memory**2) ** 0.5))
    return series


def held(simulations: int, bounds: Callable[[int], tuple[float, float]], truth: float) -> float:
    """The share of simulations whose bounds hold the truth."""
    found = [bounds(seed) for seed in range(simulations)]
    return sum(low <= truth <= high for low, high in found) / simulations


@pytest.mark.parametrize(
    ("share", "expected"), [(0, 1.0), (0.25, 2.0), (0.5, 3.0), (0.9, 4.6), (1, 5.0)]
)
def test_quantiles_are_linear_between_samples(share: float, expected: float) -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0, 5.0], share) == pytest.approx(expected)


def test_a_box_ends_at_samples_and_tells_outliers() -> None:
    """Q1 = 2.25, Q3 = 6.75: whiskers reach at most from -4.5 to 13.5."""
    found = box([-20.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 30.0])
    assert (found.low, found.q1, found.median, found.q3, found.high) == (1, 2.25, 4.5, 6.75, 8)
    assert found.outliers == (-20, 30)
    assert found.outlier_count == 2


def test_a_box_keeps_the_furthest_outliers_and_counts_all() -> None:
    found = box(sorted([0.0] * 900 + [float(value) for value in range(1, 100)]))
    assert found.outlier_count == 99
    assert len(found.outliers) == 50
    assert found.outliers[-1] == 99


def test_constant_samples_have_a_box_without_height() -> None:
    found = box([7.0] * 9)
    assert (found.low, found.q1, found.q3, found.high, found.outlier_count) == (7, 7, 7, 7, 0)


def test_a_percentile_needs_a_sample_beyond_it() -> None:
    shown = distribution(float(value) for value in range(50))
    assert shown is not None
    assert shown.p95 is not None
    assert shown.p99 is None, "of 50 samples none is to be expected beyond it"
    assert percentile([1.0] * 99, 99) is None
    assert percentile([1.0] * 100, 99) is not None


def test_nothing_known_is_no_distribution() -> None:
    assert distribution([None, None]) is None
    assert clustered([(), ()]) is None


def test_a_bound_beyond_the_last_sample_is_unknown() -> None:
    """With 100 samples all of them lie below the true p99 in 0.99^100 = 37 of 100 cases."""
    shown = distribution(float(value) for value in range(100))
    assert shown is not None
    assert shown.p99 is not None
    assert shown.p99.high is None
    assert shown.p99.low is not None


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_bounds_of_independent_samples_hold_the_truth(share: float) -> None:
    """Exponential latencies, whose quantile is -ln(1 - share)."""
    from math import inf, log

    def bounds(seed: int) -> tuple[float, float]:
        draw = Random(seed)
        low, high = quantile_bounds(sorted(draw.expovariate(1) for _ in range(200)), share)
        return (-inf if low is None else low), (inf if high is None else high)

    assert 0.91 <= held(300, bounds, -log(1 - share)) <= 0.99


def test_neighbours_that_depend_on_each_other_need_blocks() -> None:
    """Taking them for independent promises 95 of 100 and holds far less."""

    def naive(seed: int) -> tuple[float, float]:
        low, high = quantile_bounds(sorted(autoregressive(seed, 400, 0.8)), 0.5)
        assert low is not None
        assert high is not None
        return low, high

    def blocked(seed: int) -> tuple[float, float]:
        series = autoregressive(seed, 400, 0.8)
        pieces = blocks(series, block_length(series), 64)
        ((low, high),) = block_quantile_bounds(pieces, (0.5,))
        assert low is not None
        assert high is not None
        return low, high

    assert held(60, naive, 0.0) < 0.75
    assert held(60, blocked, 0.0) >= 0.82


def test_block_lengths() -> None:
    assert block_length([Random(1).random() for _ in range(5)]) == 1, "too few to tell"
    assert block_length([3.0] * 1000) == 1, "equal values aren't in order"
    independent = [block_length([d.random() for _ in range(500)]) for d in map(Random, range(40))]
    assert sum(length > 1 for length in independent) <= 4
    assert all(5 <= block_length(autoregressive(seed, 1000, 0.7)) <= 40 for seed in range(10))


def test_one_huge_value_does_not_hide_a_correlation() -> None:
    series = autoregressive(3, 500, 0.8)
    series[250] = 1e9
    assert neighbours(series) > 0.6


def test_bounds_of_a_rate_hold_the_truth_over_dependent_slices() -> None:
    def bounds(seed: int) -> tuple[float, float]:
        series = [100 + 10 * one for one in autoregressive(seed, 80, 0.5)]
        found = rate(sum(series) / 80, [series])
        assert found.low is not None
        assert found.high is not None
        return found.low, found.high

    assert held(150, bounds, 100.0) >= 0.88


def test_from_three_runs_on_they_are_what_repeats() -> None:
    """Quiet within, apart from each other: slices alone would promise far too much."""
    runs = [[100.0 + shift + 0.1 * (at % 2) for at in range(50)] for shift in (-5, 0, 5)]
    found = rate(100.0, runs)
    assert found.low == pytest.approx(100 - 4.303 * 5 / 3**0.5, rel=0.01)


def test_few_slices_have_no_bounds() -> None:
    assert rate(5.0, [[5.0] * 7]) == Estimate(5.0)
    assert rate(0.0, [[0.0] * 50]) == Estimate(0.0)


def test_a_share_of_all_is_not_certain() -> None:
    """Wilson: 20 of 20 says at least 84 %."""
    found = proportion([True] * 20)
    assert found is not None
    assert found.value == 1
    assert found.low == pytest.approx(0.839, abs=0.001)
    assert found.high == 1
    assert proportion([]) is None


def test_failures_in_a_row_say_less_than_scattered_ones() -> None:
    scattered = proportion([at % 10 != 0 for at in range(200)])
    together = proportion([at >= 20 for at in range(200)])
    assert scattered is not None
    assert together is not None
    assert scattered.low is not None
    assert together.low is not None
    assert scattered.value == together.value
    assert together.low < scattered.low


@pytest.mark.parametrize(
    ("freedom", "expected"), [(1, 12.706), (10, 2.228), (31, 2.0395), (60, 2.0003)]
)
def test_students_t(freedom: int, expected: float) -> None:
    assert t_975(freedom) == pytest.approx(expected, abs=0.001)


def test_the_mean_of_few_and_how_many_it_takes() -> None:
    """sd 2, mean 100: two runs give ±12.706·2/√2 = 18 %, four ±3.182·2/√4 = 3.2 %."""
    two = [100 - 2**0.5, 100 + 2**0.5]
    assert mean_of(two).low == pytest.approx(100 - 17.97, abs=0.01)
    assert needed(two, 0.05) == 3
    assert needed(two, 0.04) == 4
    assert needed([1.0, 1000.0], 0.001) is None


def test_a_ratio_keeps_what_is_lopsided() -> None:
    found = ratio(Estimate(200, 180, 260), Estimate(100, 100, 100))
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 1.8, 2.6))


def test_a_ratio_without_a_bound_on_one_side() -> None:
    found = ratio(Estimate(200, 180, None), Estimate(100, 95, 105))
    assert found is not None
    assert found.low is not None
    assert found.high is None
    assert ratio(Estimate(0.0), Estimate(1.0)) is None


def test_bounds_of_a_ratio_hold_the_truth() -> None:
    def bounds(seed: int) -> tuple[float, float]:
        draw = Random(seed)
        top, bottom = (
            mean_of([draw.gauss(mean, 10) for _ in range(30)]) for mean in (120.0, 100.0)
        )
        found = ratio(top, bottom)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        return found.low, found.high

    assert 0.91 <= held(300, bounds, 1.2) <= 0.99


def test_pairs_cancel_what_both_felt() -> None:
    """Both halve their speed from round to round; one is always a tenth faster."""
    bottoms = [100.0, 50.0, 25.0, 12.5]
    found = paired([value * 1.1 for value in bottoms], bottoms)
    assert found.value == pytest.approx(1.1)
    assert found.low == pytest.approx(1.1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=300))
def test_bounds_lie_around_their_value(samples: list[float]) -> None:
    shown = distribution(samples)
    assert shown is not None
    assert shown == distribution(samples), "seeded: the same every time"
    for at in (50, 90, 95, 99):
        found = shown.at(at)
        if found is not None:
            assert found.low is None or found.low <= found.value
            assert found.high is None or found.value <= found.high
