"""What happened when: amounts over time in lanes, with spans behind and marks for errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from statistics import fmean
from typing import Literal

from pilotlight.bench.page.chart.drawing import (
    Paper,
    across_axis,
    box,
    line,
    look,
    svg,
    text,
)
from pilotlight.bench.page.chart.scale import Linear
from pilotlight.planner.figures import number

LANE = 84
MOST_STEPS = 400
_GAP = 26
WIDTH = 960

SpanKind = Literal["cold", "apart"]
"""Waiting for a model to load; what the numbers leave out."""


@dataclass(frozen=True, slots=True)
class Step:
    """An amount that held from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    value: float


@dataclass(frozen=True, slots=True)
class Lane:
    name: str
    look: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Span:
    start_s: float
    end_s: float
    kind: SpanKind
    words: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Something at a moment, such as an error."""

    at_s: float
    words: str


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the time with a name of its own, such as a stage."""

    start_s: float
    end_s: float
    name: str


def timeline(
    label: str, lanes: Sequence[Lane], spans: Sequence[Span] = (), ticks: Sequence[Tick] = (),
    blocks: Sequence[Block] = (),
) -> str:  # fmt: skip
    """Empty without anything in its lanes."""
    ends = [step.end_s for lane in lanes for step in lane.steps] + [span.end_s for span in spans]
    if not any(lane.steps for lane in lanes):
        return ""
    paper = Paper(
        width=WIDTH, height=len(lanes) * (LANE + _GAP) + 66, left=62, top=18, bottom=44
    )  # fmt: skip
    across = Linear(0.0, max(ends), paper.left, paper.x_end)
    parts = [
        *_blocks(paper, blocks, across),
        *_spans(paper, spans, across),
        *across_axis(paper, across, number, "seconds under load, one run after another"),
        *(part for at, lane in enumerate(lanes) for part in _lane(paper, at, lane, across)),
        *_ticks(paper, ticks, across),
    ]
    return svg(paper, label, parts, wide=True)


def _blocks(paper: Paper, blocks: Sequence[Block], across: Linear) -> Iterator[str]:
    """Every second one is shaded; a name that finds no room shows on pointing at it."""
    for at, block in enumerate(blocks):
        x, end = across.at(block.start_s), across.at(block.end_s)
        kind = "block" if at % 2 else "block odd"
        yield box(x, paper.top, end - x, paper.y_end - paper.top, kind, block.name)
        if len(block.name) * 6.5 < end - x:
            yield text((x + end) / 2, paper.top - 5, block.name, anchor="middle")


def _spans(paper: Paper, spans: Iterable[Span], across: Linear) -> Iterator[str]:
    for span in spans:
        x, end = across.at(span.start_s), across.at(span.end_s)
        words = f"{span.words}, {number(span.end_s - span.start_s)} s"
        height = paper.y_end - paper.top
        yield box(x, paper.top, max(end - x, 1.5), height, span.kind, words)


def _lane(paper: Paper, at: int, lane: Lane, across: Linear) -> Iterator[str]:
    top = paper.top + at * (LANE + _GAP) + _GAP
    up = Linear.over([step.value for step in lane.steps], top + LANE, top)
    yield text(paper.left + 2, top - 8, lane.name, kind="name")
    yield line(paper.left, top + LANE, paper.x_end, top + LANE, "grid")
    yield text(paper.left - 6, top + LANE + 4, number(up.low), anchor="end")
    yield text(paper.left - 6, top + 8, number(up.high), anchor="end")
    for part in _unbroken(lane.steps):
        yield f'<path class="area {look(lane.look)}" d="{_outline(part, across, up)}"/>'


def _unbroken(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    """Steps that follow each other without a break, joined where they are too many to see."""
    joined = -(-len(steps) // MOST_STEPS)
    starts = [
        at
        for at, step in enumerate(steps)
        if not at or not math.isclose(step.start_s, steps[at - 1].end_s, abs_tol=1e-6)
    ]
    for start, end in pairwise([*starts, len(steps)]):
        part = steps[start:end]
        yield [_joined(part[at : at + joined]) for at in range(0, len(part), joined)]


def _joined(steps: Sequence[Step]) -> Step:
    """All have the same length, so that their mean is that of the time."""
    return Step(steps[0].start_s, steps[-1].end_s, fmean(step.value for step in steps))


def _outline(steps: Sequence[Step], across: Linear, up: Linear) -> str:
    base = up.at(max(up.low, 0.0))
    stairs = "".join(f"V{up.at(step.value):.1f}H{across.at(step.end_s):.1f}" for step in steps)
    return f"M{across.at(steps[0].start_s):.1f} {base:.1f}{stairs}V{base:.1f}z"


def _ticks(paper: Paper, ticks: Iterable[Tick], across: Linear) -> Iterator[str]:
    for tick in ticks:
        x, y = across.at(tick.at_s), paper.y_end
        yield (
            f'<path class="error-mark" d="M{x - 4:.1f} {y + 4}l8 -8m0 8l-8 -8">'
            f"<title>{escape(tick.words)}</title></path>"
        )
