"""The paper a chart is drawn on: its frame, axes and the looks of its series."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape

from pilotlight.bench.page.chart.scale import Scale

Words = Callable[[float], str]
LOOKS = 8
"""Colours that are told apart, also by those who see fewer; beyond them they come again."""


@dataclass(frozen=True, slots=True)
class Paper:
    """Pixels of the picture and of the part of it that data has."""

    width: int = 480
    height: int = 300
    left: int = 62
    right: int = 22
    top: int = 12
    bottom: int = 44

    @property
    def x_end(self) -> int:
        return self.width - self.right

    @property
    def y_end(self) -> int:
        return self.height - self.bottom


def svg(paper: Paper, label: str, parts: Iterable[str], *, wide: bool = False) -> str:
    """`label` is what someone hears who doesn't see it: what is drawn, and what it shows."""
    kind = ' class="wide"' if wide else ""
    return (
        f'<svg{kind} viewBox="0 0 {paper.width} {paper.height}" role="img" '
        f'aria-label="{escape(label)}" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def box(x: float, y: float, width: float, height: float, kind: str, words: str = "") -> str:
    """A rectangle; one too thin to see is drawn half a pixel wide."""
    title = f"<title>{escape(words)}</title>" if words else ""
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" '
        f'height="{max(height, 0.5):.1f}">{title}</rect>'
    )


def path(points: Iterable[tuple[float, float]], kind: str) -> str:
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{joined}"/>'


def look(series: int) -> str:
    """The class that gives a series its colour."""
    return f"s{series % LOOKS}"


def mark(x: float, y: float, series: int, words: str, *, size: float = 4) -> str:
    """A dot whose shape tells series apart where colours don't."""
    return (
        f'<path class="mark {look(series)}" d="{_SHAPES[series % len(_SHAPES)](x, y, size)}">'
        f"<title>{escape(words)}</title></path>"
    )


def _circle(x: float, y: float, r: float) -> str:
    return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"


def _square(x: float, y: float, r: float) -> str:
    return f"M{x - r:.1f} {y - r:.1f}h{2 * r}v{2 * r}h{-2 * r}z"


def _triangle(x: float, y: float, r: float) -> str:
    return f"M{x:.1f} {y - r:.1f}l{r} {2 * r}h{-2 * r}z"


def _diamond(x: float, y: float, r: float) -> str:
    return f"M{x:.1f} {y - r:.1f}l{r} {r}l{-r} {r}l{-r} {-r}z"


_SHAPES = (_circle, _square, _triangle, _diamond)


def across_axis(paper: Paper, scale: Scale, words: Words, label: str) -> Iterator[str]:
    """Round figures under the chart, with a line up from each."""
    for value in scale.ticks():
        x = scale.at(value)
        yield line(x, paper.top, x, paper.y_end, "grid")
        yield text(x, paper.y_end + 16, words(value), anchor="middle")
    middle = (paper.left + paper.x_end) / 2
    yield text(middle, paper.height - 6, label, anchor="middle", kind="axis")


def up_axis(paper: Paper, scale: Scale, words: Words, label: str) -> Iterator[str]:
    for value in scale.ticks():
        y = scale.at(value)
        yield line(paper.left, y, paper.x_end, y, "grid")
        yield text(paper.left - 6, y + 4, words(value), anchor="end")
    middle = (paper.top + paper.y_end) / 2
    yield (
        f'<text class="axis" x="12" y="{middle:.1f}" text-anchor="middle" '
        f'transform="rotate(-90 12 {middle:.1f})">{escape(label)}</text>'
    )


def legend(series: Iterable[tuple[int, str]]) -> str:
    """Names beside their marks, as text that wraps; nothing for a single series."""
    held = tuple(series)
    if len(held) < 2:
        return ""
    items = "".join(
        f'<li><svg viewBox="0 0 26 10" aria-hidden="true">'
        f'<polyline class="line {look(at)} d{at % 4}" points="0,5 26,5"/>{mark(13, 5, at, name)}'
        f"</svg>{escape(name)}</li>"
        for at, name in held
    )
    return f'<ul class="legend">{items}</ul>'
