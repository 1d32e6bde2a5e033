"""A figure with its interval: medians of rounds, and a bootstrap over the rounds."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

RESAMPLES = 2000


def quantile(values: Sequence[float], q: float) -> float:
    """Linear between the two nearest values; raises IndexError without any."""
    ordered = sorted(values)
    at = (len(ordered) - 1) * q
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of rounds, and between which values it lies in 95 of 100 resamplings."""

    median: float
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{self.median:.4g} [{self.low:.4g}, {self.high:.4g}]"


def spread(
    values: Sequence[float], measure: Callable[[Sequence[float]], float] = statistics.median
) -> Spread:
    """The same rounds always give the same interval: the resampling is seeded."""
    draw = random.Random(0)
    resampled = [measure(draw.choices(values, k=len(values))) for _ in range(RESAMPLES)]
    return Spread(
        measure(values), quantile(resampled, 0.025), quantile(resampled, 0.975), len(values)
    )


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
    """Round by round, so that what drifts over the run cancels out."""
    return spread([top / bottom for top, bottom in zip(numerators, denominators, strict=True)])


def difference(left: Sequence[float], right: Sequence[float]) -> Spread:
    return spread([a - b for a, b in zip(left, right, strict=True)])
