"""Idle is shared out to the last unit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.meter.ledger.idling import Shared, over_days, shared


@pytest.mark.parametrize(
    ("amount", "weights", "parts"),
    [
        (100, {"a": 3, "b": 1}, {"a": 75, "b": 25}),
        (10, {"a": 1, "b": 1, "c": 1}, {"a": 4, "b": 3, "c": 3}),
        (2, {"a": 1, "b": 5}, {"a": 0, "b": 2}),
        (7, {"a": 0, "b": 2}, {"a": 0, "b": 7}),
    ],
)
def test_in_proportion(amount: int, weights: dict[str, int], parts: dict[str, int]) -> None:
    assert shared(amount, weights) == Shared(parts, 0)


@pytest.mark.parametrize("weights", [{}, {"a": 0}])
def test_nobody_pays_where_nobody_used(weights: dict[str, int]) -> None:
    assert shared(9, weights) == Shared({}, 9)


def test_each_day_pays_for_itself() -> None:
    weights = [(1, "a", 1), (1, "b", 3), (1, "a", 1), (3, "b", 9)]
    assert over_days({1: 50, 2: 7}, weights) == Shared({"a": 20, "b": 30}, 7)


names = st.sampled_from("abcde")
amounts = st.integers(0, 10**15)


@given(
    st.dictionaries(st.integers(0, 5), amounts),
    st.lists(st.tuples(st.integers(0, 5), names, amounts)),
)
def test_the_parts_add_up(by_day: dict[int, int], weights: list[tuple[int, str, int]]) -> None:
    made = over_days(by_day, weights)
    assert sum(made.by.values()) + made.left == sum(by_day.values())
    assert all(part >= 0 for part in made.by.values())
