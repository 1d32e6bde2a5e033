"""The comparison that decides: ratios with known answers."""

from __future__ import annotations

import math

import pytest

from pilotlight.tune.duel import ratio
from pilotlight.tune.noise import FLOOR, PRIOR, relative_noise


def test_a_ratio_is_taken_pair_by_pair() -> None:
    """Both get slower from round to round; their ratio doesn't."""
    found = ratio([20.0, 10.0, 5.0], [10.0, 5.0, 2.5])
    assert found is not None
    assert (found.low, found.median, found.high) == pytest.approx((2.0, 2.0, 2.0))


def test_its_interval_is_students() -> None:
    """Logarithms 0.1, 0.2 and 0.3: a deviation of 0.1, a standard error of 0.1/√3, t(2) = 4.303."""
    found = ratio([math.exp(0.1), math.exp(0.2), math.exp(0.3)], [1.0, 1.0, 1.0])
    assert found is not None
    assert math.log(found.median) == pytest.approx(0.2)
    assert math.log(found.high) - 0.2 == pytest.approx(4.303 * 0.1 / math.sqrt(3))


@pytest.mark.parametrize(("ones", "others"), [([1.0], [1.0]), ([1.0, 0.0], [1.0, 1.0])])
def test_there_is_none_of_nothing(ones: list[float], others: list[float]) -> None:
    assert ratio(ones, others) is None


def test_noise_is_learnt_from_repeats() -> None:
    assert relative_noise([], 15) == pytest.approx(PRIOR)
    assert relative_noise([[(15, 10.0)], [(15, 7.0)]], 15) == pytest.approx(PRIOR), "no repeats"
    quiet = [[(15, 10.0), (15, 10.0)]] * 200
    assert relative_noise(quiet, 15) == FLOOR
    apart = math.exp(0.3)
    loud = [[(15, 1.0), (15, apart)]] * 200
    assert relative_noise(loud, 15) == pytest.approx(0.3 / math.sqrt(2), rel=0.02)
    short = [[(5, 1.0), (5, apart)]] * 200
    assert relative_noise(short, 15) == pytest.approx(0.3 / math.sqrt(6), rel=0.03)


def test_nothing_met_is_no_measure_of_noise() -> None:
    assert relative_noise([[(15, 0.0), (15, 4.0)]], 15) == pytest.approx(PRIOR)
