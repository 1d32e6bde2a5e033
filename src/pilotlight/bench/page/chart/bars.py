"""Bars of amounts, such as joules and dollars, in parts where their parts are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pilotlight.bench.page.chart.drawing import box, line, look
from pilotlight.bench.page.chart.rows import straight_chart
from pilotlight.bench.page.chart.scale import Scale
from pilotlight.planner.figures import number


@dataclass(frozen=True, slots=True)
class Part:
    """`pale` is what a bar holds beside what it is about, such as what idling takes."""

    words: str
    value: float
    pale: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """`low` and `high` are how far the whole may be off; another's figure is hollow."""

    name: str
    look: int
    parts: tuple[Part, ...]
    figure: str
    low: float | None = None
    high: float | None = None
    hollow: bool = False

    @property
    def whole(self) -> float:
        return sum(part.value for part in self.parts)

    def values(self) -> Iterable[float]:
        return (self.whole, self.high or self.whole)

    def draw(self, scale: Scale, y: float) -> Iterator[str]:
        done = 0.0
        for part in self.parts:
            start, end = scale.at(done), scale.at(done + part.value)
            words = f"{self.name}, {part.words}: {number(part.value)}"
            yield box(start, y - 6, end - start, 12, self._kind(part), words)
            done += part.value
        if self.low is not None and self.high is not None:
            yield line(scale.at(self.low), y, scale.at(self.high), y, "error")

    def _kind(self, part: Part) -> str:
        kind = "hollow" if self.hollow else "pale" if part.pale else "bar"
        return f"{kind} {look(self.look)}"


def bars(label: str, rows: Sequence[Bar], *, x_label: str) -> str:
    """A bar's length is its amount. Small ones have their figure."""
    return straight_chart(label, rows, x_label)
