"""Nothing gets lost or doubled when a run is cut into slices."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.numbers.timings import answered
from pilotlight.bench.record import Record
from pilotlight.bench.slicing import answering, pieces, share_inside, width_s

MOMENTS = st.floats(0, 50)


@st.composite
def records(draw: st.DrawFn) -> Record:
    due, sent, first, last, ended = sorted(draw(st.tuples(*[MOMENTS] * 5)))
    return replace(
        answered(0, due, sent_s=sent, output_tokens=draw(st.integers(0, 500))),
        first_s=first, last_s=last, ended_s=ended,
    )  # fmt: skip


@given(st.lists(records(), min_size=1, max_size=20), st.sampled_from([0.05, 0.5, 1.0, 20.0]))
def test_slices_add_up(found: list[Record], width: float) -> None:
    cut = pieces(found, None, width)
    tokens = sum(one.output_tokens or 0 for one in found)
    assert sum(cut.output_tokens) == pytest.approx(tokens, abs=1e-6)
    assert sum(cut.completed) == pytest.approx(len(found))
    busy_s = sum(one.ended_s - one.sent_s for one in found)
    assert sum(cut.in_flight) * width == pytest.approx(busy_s, abs=1e-6)
    held_s = sum(one.ended_s - one.scheduled_s for one in found)
    assert sum(cut.present) * width == pytest.approx(held_s, abs=1e-6)


@given(records(), MOMENTS)
def test_two_windows_that_meet_share_an_answer(record: Record, at_s: float) -> None:
    part = answering(record)
    if part[0] == part[1]:
        return  # a moment on the border lies in both
    before, after = share_inside(part, 0.0, at_s), share_inside(part, at_s, 100.0)
    assert before + after == pytest.approx(1)


@pytest.mark.parametrize(
    ("runs_s", "width"), [((60.0,), 1.0), ((149.0,), 2.0), ((0.5,), 0.005), ((0.0,), 0.01)]
)
def test_widths_are_round(runs_s: tuple[float, ...], width: float) -> None:
    assert width_s(runs_s) == pytest.approx(width)


def test_the_longest_run_bounds_the_slices_of_all() -> None:
    assert 1e5 / width_s((1e-4, 1e5)) <= 5000
    assert width_s(()) > 0
