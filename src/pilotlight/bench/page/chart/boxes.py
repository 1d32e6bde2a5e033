"""Box plots: where half of the samples lie, how far the rest go, and which are outliers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pilotlight.bench.figures import Box
from pilotlight.bench.page.chart.drawing import box, line, look, mark
from pilotlight.bench.page.chart.rows import straight_chart
from pilotlight.bench.page.chart.scale import Scale
from pilotlight.planner.figures import number


@dataclass(frozen=True, slots=True)
class BoxRow:
    name: str
    look: int
    box: Box

    @property
    def figure(self) -> str:
        return f"{number(self.box.q1)} · {number(self.box.median)} · {number(self.box.q3)}"

    def values(self) -> Iterable[float]:
        return (self.box.low, self.box.high, *self.box.outliers)

    def draw(self, scale: Scale, y: float) -> Iterator[str]:
        low, q1, middle, q3, high = (
            scale.at(value)
            for value in (self.box.low, self.box.q1, self.box.median, self.box.q3, self.box.high)
        )
        colour = look(self.look)
        yield line(low, y, q1, y, f"whisker {colour}")
        yield line(q3, y, high, y, f"whisker {colour}")
        yield from (line(end, y - 4, end, y + 4, f"whisker {colour}") for end in (low, high))
        words = f"{self.name}: quartiles and median {self.figure}"
        yield box(q1, y - 7, q3 - q1, 14, f"box {colour}", words)
        yield line(middle, y - 7, middle, y + 7, f"median {colour}")
        for value in self.box.outliers:
            yield mark(scale.at(value), y, self.look, f"{self.name}: {number(value)}", size=2.5)


def boxes(label: str, rows: Sequence[BoxRow], *, x_label: str) -> str:
    return straight_chart(label, rows, x_label)
