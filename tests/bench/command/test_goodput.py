"""The search for the highest rate that holds, on capacities with known answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.bench.profile.goodput import Found, Probe, Search, Seen, decide


def searched(holds: Callable[[float, int], bool], search: Search) -> tuple[Found, list[Seen]]:
    seen: list[Seen] = []
    while isinstance(step := decide(seen, search), Probe):
        seen.append(Seen(step.rate, holds(step.rate, len(seen))))
        assert len(seen) <= search.probes, "it never ends"
    return step, seen


@given(
    capacity=st.floats(0.05, 2000),
    start=st.floats(0.05, 2000),
    resolution=st.sampled_from((0.05, 0.1, 0.3)),
)
def test_it_finds_the_capacity_from_any_start(
    capacity: float, start: float, resolution: float
) -> None:
    search = Search(start=start, resolution=resolution, probes=60)
    found, seen = searched(lambda rate, _: rate <= capacity, search)
    assert found.rate is not None
    # Rates have three digits: the resolution is met to one part in a hundred.
    assert capacity / (1 + resolution) * 0.98 <= found.rate <= capacity
    assert sum(one.rate == found.rate for one in seen) == 2, "confirmed by a second measurement"


@given(capacity=st.floats(0.5, 200), noise=st.lists(st.booleans(), min_size=60, max_size=60))
def test_what_it_finds_never_failed(capacity: float, noise: list[bool]) -> None:
    """Within 20 % of the capacity each measurement goes either way."""

    def holds(rate: float, nth: int) -> bool:
        return noise[nth] if capacity * 0.8 < rate < capacity * 1.2 else rate <= capacity

    found, seen = searched(holds, Search(start=10.0, probes=60))
    if found.rate is not None:
        assert all(one.held for one in seen if one.rate == found.rate)
        assert found.failed_at is None or found.failed_at > found.rate
        assert found.rate < capacity * 1.2


def test_a_level_that_nothing_keeps_is_said_to_be_so() -> None:
    found, seen = searched(lambda rate, _: False, Search(start=4.0, least=1.0))
    assert found.rate is None
    assert [one.rate for one in seen] == [4.0, 2.0, 1.0]
    assert "not even 1 requests/s" in found.why


def test_a_bound_that_holds_is_the_answer() -> None:
    found, seen = searched(lambda rate, _: True, Search(start=6.0, most=20.0))
    assert (found.rate, found.failed_at) == (20.0, None)
    assert [one.rate for one in seen] == [6.0, 12.0, 20.0, 20.0]


def test_a_confirmation_that_fails_lowers_the_answer() -> None:
    """The first look at 8/s was luck."""
    lucky = {8.0: [True, False]}

    def holds(rate: float, _: int) -> bool:
        return lucky[rate].pop(0) if lucky.get(rate) else rate <= 6

    found, _ = searched(holds, Search(start=8.0, resolution=0.1))
    assert found.rate is not None
    assert 5.4 <= found.rate <= 6


def test_it_stops_at_its_bound_of_measurements() -> None:
    found, seen = searched(lambda rate, _: rate < 100, Search(start=1.0, probes=5))
    assert len(seen) == 5
    assert found.rate == 16.0
    assert found.why == "stopped after 5 measurements"


@pytest.mark.parametrize(
    ("seen", "rate", "purpose"),
    [
        ([], 10.0, "bracket"),
        ([Seen(10, True)], 20.0, "bracket"),
        ([Seen(10, False)], 5.0, "bracket"),
        ([Seen(10, True), Seen(20, False)], 14.1, "bisect"),
        ([Seen(10, True), Seen(11, False)], 10, "confirm"),
    ],
)
def test_each_step(seen: list[Seen], rate: float, purpose: str) -> None:
    step = decide(seen, Search(start=10.0))
    assert isinstance(step, Probe)
    assert (step.rate, step.purpose) == (rate, purpose)
