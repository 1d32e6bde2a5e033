"""Ratios with their intervals around one: what is faster, what slower, and what nobody can tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pilotlight.bench.figures import Estimate
from pilotlight.bench.page.chart.drawing import line, look, mark
from pilotlight.bench.page.chart.rows import Reference, row_chart, row_paper
from pilotlight.bench.page.chart.scale import Logarithmic, Scale
from pilotlight.bench.told import bounds_words
from pilotlight.planner.figures import number


@dataclass(frozen=True, slots=True)
class Ratio:
    name: str
    look: int
    found: Estimate
    verdict: str = ""

    @property
    def figure(self) -> str:
        bounds = bounds_words(self.found, number)
        return " ".join(
            filter(
                None,
                (f"{number(self.found.value)}×", f"({bounds})" if bounds else "", self.verdict),
            )
        )

    def values(self) -> Iterable[float]:
        found = (self.found.value, self.found.low, self.found.high)
        return tuple(value for value in found if value is not None and value > 0)

    def draw(self, scale: Scale, y: float) -> Iterator[str]:
        """A line to each bound that is known."""
        ends = [scale.at(value) for value in self.values()]
        if len(ends) > 1:
            yield line(min(ends), y, max(ends), y, f"whisker {look(self.look)}")
        yield mark(scale.at(self.found.value), y, self.look, f"{self.name}: {self.figure}")


def ratios(label: str, rows: Sequence[Ratio], *, x_label: str, same: str) -> str:
    """`same` is what a ratio of one means."""
    drawn = [row for row in rows if row.found.value > 0]
    if not drawn:
        return ""
    paper = row_paper(len(drawn))
    values = [1.0, *(value for row in drawn for value in row.values())]
    across = Logarithmic.over(values, paper.left, paper.x_end)
    return row_chart(label, drawn, across, x_label, Reference(1.0, same))
