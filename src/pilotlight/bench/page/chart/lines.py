"""Points joined in their order, such as throughput against latency, with limits across."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pilotlight.bench.page.chart.drawing import (
    Paper,
    across_axis,
    legend,
    line,
    look,
    mark,
    path,
    svg,
    text,
    up_axis,
)
from pilotlight.bench.page.chart.scale import Linear, Scale, scale
from pilotlight.planner.figures import number

PAPER = Paper()
FAR = 6.0
"""So many times above all points a limit is said, not drawn."""


@dataclass(frozen=True, slots=True)
class Point:
    """`low` and `high` are how far `y` may be off; `words` are all that is known of it."""

    x: float
    y: float
    words: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """`look` is its place among all that the page shows, which gives it its colour."""

    name: str
    look: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound that `y` must keep under."""

    value: float
    words: str


def lines(
    label: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    limits: Sequence[Limit] = (),
) -> str:
    """Empty without a point to draw."""
    series = [each for each in series if each.points]
    points = [point for each in series for point in each.points]
    if not points:
        return ""
    across = Linear.over([point.x for point in points], PAPER.left, PAPER.x_end)
    up = scale(_heights(points, limits), PAPER.y_end, PAPER.top)
    parts = [
        *across_axis(PAPER, across, number, x_label),
        *up_axis(PAPER, up, number, y_label),
        *(part for limit in limits for part in _limit(limit, up)),
        *(part for each in series for part in _series(each, across, up)),
    ]
    return svg(PAPER, label, parts) + legend((each.look, each.name) for each in series)


def _heights(points: Sequence[Point], limits: Sequence[Limit]) -> list[float]:
    """A limit far above all points is left out, rather than pressing them flat."""
    tops = [value for point in points for value in (point.y, point.low, point.high)]
    heights = [value for value in tops if value is not None]
    return heights + [limit.value for limit in limits if limit.value < FAR * max(heights)]


def _limit(limit: Limit, up: Scale) -> Iterator[str]:
    y = up.at(limit.value)
    if PAPER.top <= y <= PAPER.y_end:
        yield line(PAPER.left, y, PAPER.x_end, y, "limit")
        beside = y - 5 if y > PAPER.top + 16 else y + 14
        yield text(PAPER.x_end - 4, beside, limit.words, anchor="end", kind="limit")
    else:
        words = f"{limit.words}: far above"
        yield text(PAPER.x_end - 4, PAPER.top + 10, words, anchor="end", kind="limit")


def _series(series: Series, across: Scale, up: Scale) -> Iterator[str]:
    at = series.look
    places = [(across.at(point.x), up.at(point.y)) for point in series.points]
    if len(places) > 1:
        yield path(places, f"line {look(at)} d{at % 4}")
    for (x, y), point in zip(places, series.points, strict=True):
        if point.low is not None and point.high is not None:
            yield line(x, up.at(point.low), x, up.at(point.high), f"whisker {look(at)}")
        yield mark(x, y, at, f"{series.name}: {point.words}")
