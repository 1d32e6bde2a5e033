"""Spans of what was metered: they add up, whatever they are cut into."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.meter.meter import Meter
from pilotlight.meter.series import Series

from .made import Clock, Drawn


def series(drawn_j: list[float]) -> Series:
    """A sample each second."""
    source, clock, total_j = Drawn(), Clock(), 0.0
    meter = Meter([source], clock=clock)
    meter.mark()
    for joules in drawn_j:
        total_j += joules
        clock.now_s += 1
        source.joules = total_j
        meter.mark()
    return meter.series()


seconds = st.floats(0, 10, allow_subnormal=False)


@given(st.lists(st.floats(0, 100), min_size=10, max_size=10), st.tuples(seconds, seconds, seconds))
def test_parts_add_up_to_the_whole(drawn_j: list[float], cuts: tuple[float, ...]) -> None:
    found = series(drawn_j)
    edges = [0.0, *sorted(cuts), 10.0]
    parts = [found.part("package-0", begin_s, end_s).joules for begin_s, end_s in pairwise(edges)]
    assert sum(parts) == pytest.approx(found.joules("package-0", 0, 10))
    assert all(part >= -1e-9 for part in parts)


def test_between_samples_it_draws_evenly() -> None:
    found = series([10, 30])
    assert found.joules("package-0", 0.5, 1.5) == pytest.approx(5 + 15)


def test_before_the_first_and_after_the_last_sample_nothing_is_known() -> None:
    found = series([10.0] * 10)
    part = found.part("package-0", -5, 15)
    assert (part.joules, part.unknown_s) == (100, 10)
    assert found.joules("package-0", -5, 15) is None
    assert found.joules("package-0", 0, 10.4) == 100, "less than a twentieth may be missing"
    assert found.joules("package-0", 20, 30) is None


def test_a_device_that_never_said_a_thing_is_unknown_for_all_of_it() -> None:
    found = Series((), {"gpu7": ()})
    assert found.part("gpu7", 0, 2).unknown_s == 2
    assert found.joules("gpu7", 0, 2) is None
