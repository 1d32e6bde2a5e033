"""Charts of one row a thing: its name above, its mark below, so that long names fit a phone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pilotlight.bench.page.chart.drawing import Paper, across_axis, line, svg, text
from pilotlight.bench.page.chart.scale import Linear, Scale
from pilotlight.planner.figures import number

ROW = 40
_MOST_LETTERS = 66
"""Of a row's name and its figure together."""
WIDTH = 480


class Row(Protocol):
    """What draws itself around the middle of its line."""

    @property
    def name(self) -> str: ...

    @property
    def figure(self) -> str: ...

    def values(self) -> Iterable[float]:
        """All that have to fit the scale."""
        ...

    def draw(self, scale: Scale, y: float) -> Iterator[str]: ...


@dataclass(frozen=True, slots=True)
class Reference:
    """A line down through all rows, such as a ratio of one."""

    value: float
    words: str


def row_paper(rows: int) -> Paper:
    return Paper(width=WIDTH, height=rows * ROW + 60, left=8, right=16, top=8, bottom=44)


def straight_chart(label: str, rows: Sequence[Row], x_label: str) -> str:
    """From zero on a straight scale that holds all of them; empty without rows."""
    if not rows:
        return ""
    paper = row_paper(len(rows))
    values = [value for row in rows for value in row.values()]
    return row_chart(label, rows, Linear.over(values, paper.left, paper.x_end), x_label)


def row_chart(
    label: str, rows: Sequence[Row], scale: Scale, x_label: str,
    reference: Reference | None = None,
) -> str:  # fmt: skip
    """Empty without rows; `scale` runs from `row_paper().left` to its `x_end`."""
    if not rows:
        return ""
    paper = row_paper(len(rows))
    parts = [*across_axis(paper, scale, number, x_label)]
    if reference is not None:
        x = scale.at(reference.value)
        parts.append(line(x, paper.top, x, paper.y_end, "limit"))
        parts.append(text(x + 4, paper.y_end - 3, reference.words, kind="limit"))
    for at, row in enumerate(rows):
        top = paper.top + at * ROW
        name = _cut(row.name, _MOST_LETTERS - len(row.figure))
        parts.append(text(paper.left, top + 14, name, kind="name"))
        parts.append(text(paper.x_end, top + 14, row.figure, anchor="end", kind="figure"))
        parts.extend(row.draw(scale, top + 27))
    return svg(paper, label, parts)


def _cut(name: str, most: int) -> str:
    """The whole of a cut name shows on pointing at its row's mark."""
    return name if len(name) <= most else name[: max(most - 1, 12)] + "…"
