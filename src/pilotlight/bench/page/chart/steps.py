"""The share of requests that were done by a time: what percentiles are read from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pilotlight.bench.page.chart.drawing import (
    Paper,
    across_axis,
    legend,
    line,
    look,
    path,
    svg,
    text,
    up_axis,
)
from pilotlight.bench.page.chart.lines import Limit
from pilotlight.bench.page.chart.scale import Linear, Scale, scale
from pilotlight.planner.figures import number

PAPER = Paper(height=260)
MOST_STEPS = 200
"""A curve of more values is thinned to this many: no eye sees the others."""


@dataclass(frozen=True, slots=True)
class Curve:
    """`values` in any order: every one measured."""

    name: str
    look: int
    values: tuple[float, ...]


def steps(label: str, curves: Sequence[Curve], *, x_label: str, limit: Limit | None = None) -> str:
    """Empty without a value."""
    drawn = [curve for curve in curves if curve.values]
    if not drawn:
        return ""
    values = [value for curve in drawn for value in curve.values]
    across = scale(values, PAPER.left, PAPER.x_end)
    up = Linear(0.0, 1.0, PAPER.y_end, PAPER.top)
    parts = [
        *across_axis(PAPER, across, number, x_label),
        *up_axis(PAPER, up, _percent, "of requests"),
        *_limit(limit, max(values), across),
        *(
            path(_stairs(curve.values, across, up), f"line {look(curve.look)} d{curve.look % 4}")
            for curve in drawn
        ),
    ]
    return svg(PAPER, label, parts) + legend((curve.look, curve.name) for curve in drawn)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _limit(limit: Limit | None, most: float, across: Scale) -> Iterator[str]:
    if limit is None:
        return
    if limit.value <= most and PAPER.left <= across.at(limit.value):
        x = across.at(limit.value)
        yield line(x, PAPER.top, x, PAPER.y_end, "limit")
        yield text(x - 4, PAPER.y_end - 6, limit.words, anchor="end", kind="limit")
    elif limit.value > most:
        words = f"{limit.words} is right of all"
        yield text(PAPER.x_end - 4, PAPER.y_end - 6, words, anchor="end", kind="limit")


def _stairs(values: Sequence[float], across: Scale, up: Scale) -> Iterator[tuple[float, float]]:
    """Flat until a value, then up: between two measured values nothing was seen."""
    ordered = sorted(values)
    count = len(ordered)
    stride = max(1, count // MOST_STEPS)
    kept = [*range(0, count - 1, stride), count - 1]
    share = 0.0
    for at in kept:
        x = across.at(ordered[at])
        yield x, up.at(share)
        share = (at + 1) / count
        yield x, up.at(share)
    yield PAPER.x_end, up.at(1.0)
