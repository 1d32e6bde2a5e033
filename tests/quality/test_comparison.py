"""The arithmetic of comparisons."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.bench.statistics.bootstrap import wilson
from pilotlight.quality.bound import least_kl_nats
from pilotlight.quality.intervals import difference, mean_over_texts
from pilotlight.quality.tasks import normalized

WEIGHTS = st.lists(st.floats(0.001, 1), min_size=2, max_size=12)


def distribution(weights: list[float]) -> dict[int | str, float]:
    return {token: weight / sum(weights) for token, weight in enumerate(weights)}


@given(WEIGHTS, st.randoms(use_true_random=False), st.integers(1, 12))
def test_the_bound_is_never_more_than_the_divergence(
    weights: list[float], random: Random, top: int
) -> None:
    one = distribution(weights)
    other = distribution([weight * random.uniform(0.01, 1) for weight in weights])
    whole = sum(p * math.log(p / other[token]) for token, p in one.items())
    cut = [dict(sorted(d.items(), key=lambda p: -p[1])[:top]) for d in (one, other)]
    nats, unseen = least_kl_nats(*cut)
    assert -1e-9 <= nats <= whole + 1e-6
    assert unseen == pytest.approx(1 - sum(one[token] for token in cut[0].keys() & cut[1].keys()))
    if top >= len(weights):
        assert nats == pytest.approx(whole, abs=1e-6)


def test_the_divergence_of_two_coins() -> None:
    nats, unseen = least_kl_nats({"a": 0.5, "b": 0.5}, {"a": 0.25, "b": 0.75})
    assert nats == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert unseen == 0


def test_a_token_that_the_subject_does_not_tell_has_at_most_what_it_left() -> None:
    nats, unseen = least_kl_nats({"a": 0.9}, {"b": 0.9})
    assert nats == pytest.approx(0.9 * math.log(9) + 0.1 * math.log(1 / 9))
    assert unseen == pytest.approx(1)


def test_a_token_that_the_subject_does_not_tell_is_less_likely_than_any_it_told() -> None:
    nats, _ = least_kl_nats({"a": 0.5, "b": 0.4}, {"a": 0.5, "c": 0.05})
    # b has at most 0.05 of the 0.45 that the subject left.
    assert nats == pytest.approx(0.4 * math.log(8) + 0.1 * math.log(0.1 / 0.45))


def test_shares_have_wilsons_bounds() -> None:
    found = wilson(8 / 10, 10)
    assert found.low == pytest.approx(0.4902, abs=1e-4)
    assert found.high == pytest.approx(0.9433, abs=1e-4)
    perfect = wilson(20 / 20, 20)
    assert (perfect.value, perfect.high) == (1, 1)
    assert perfect.low == pytest.approx(0.8389, abs=1e-4)


def test_differences_are_by_question() -> None:
    right, wrong = [True] * 30, [False] * 30
    assert difference(right, right).value == 0
    assert difference(right, right).low == pytest.approx(-difference(right, right).high)  # type: ignore[operator]
    found = difference(right + wrong, wrong + wrong)
    assert found.value == 0.5
    assert found.low is not None
    assert found.low > 0.3
    # The same shares with other questions right: far less certain.
    crossed = difference(right + wrong, wrong + right)
    assert crossed.value == 0
    assert (crossed.high or 0) > (difference(right + wrong, right + wrong).high or 0)


def test_intervals_over_texts_hold_the_truth_nineteen_times_of_twenty() -> None:
    random, held, rounds = Random(1), 0, 60
    for _ in range(rounds):
        means = [random.gauss(0.5, 0.2) for _ in range(30)]
        found = mean_over_texts([[random.gauss(mean, 0.1) for _ in range(10)] for mean in means])
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.5 <= found.high
    assert held / rounds > 0.85, "places of one text are alike: they are no ten samples"


@pytest.mark.parametrize(
    ("said", "meant"), [(" Paris.\n", "paris"), ("**42**", "42"), ('"The  Sea"!', "the sea")]
)
def test_what_does_not_make_an_answer_another(said: str, meant: str) -> None:
    assert normalized(said) == meant
