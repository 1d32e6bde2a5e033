"""From figures to pixels and back to round figures along an axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pilotlight.planner.picture import Axis

WIDE_RANGE = 20.0
"""Beyond this many times the least, a logarithm shows more than a straight scale."""

WIDEST_RANGE = 1e8
"""And beyond this many nothing does: the least are as good as nothing."""


class Scale(Protocol):
    def at(self, value: float) -> float: ...
    def ticks(self) -> Iterable[float]: ...


@dataclass(frozen=True, slots=True)
class Linear:
    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> Linear:
        """From zero (or the least, if that is under it) to a round figure above the most."""
        most = max((*values, 0.0))
        least = min((*values, 0.0))
        step = _step(most - least or 1.0)
        high = math.ceil(most / step - 1e-9) * step
        low = math.floor(least / step + 1e-9) * step
        return cls(low, high if high > low else low + step, start, end)

    def at(self, value: float) -> float:
        along = (value - self.low) / (self.high - self.low)
        return self.start + along * (self.end - self.start)

    def ticks(self) -> Iterable[float]:
        return _round_figures(self.low, self.high)


@dataclass(frozen=True, slots=True)
class Logarithmic(Axis):
    """Planning's scale, with round figures also where 1, 2 and 5 of a power of ten are too few."""

    def ticks(self) -> Iterator[float]:
        found = tuple(Axis.ticks(self))
        return iter(found if len(found) > 2 else _round_figures(self.low, self.high))


def scale(values: Sequence[float], start: float, end: float) -> Scale:
    """Logarithmic where the figures span so much that small ones would vanish on a straight one."""
    least, most = min(values), max(values)
    if least > 0 and WIDE_RANGE < most / least < WIDEST_RANGE:
        return Logarithmic.over(values, start, end)
    return Linear.over(values, start, end)


def _step(span: float) -> float:
    """1, 2 or 5 of a power of ten, so that four to nine of them fill the span."""
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next(size * power for size in (1, 2, 5, 10) if span / (size * power) <= 9)


def _round_figures(low: float, high: float) -> tuple[float, ...]:
    step = _step(high - low)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(step * count for count in range(first, last + 1))
