"""Intervals of what an evaluation finds, at 95 %."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random

from pilotlight.bench.figures import Estimate
from pilotlight.bench.statistics.student import NORMAL_975

RESAMPLES = 2000
FEWEST = 5
"""Texts: fewer can't tell how much texts differ, and the bounds stay away."""


def mean_over_texts(
    texts: Sequence[Sequence[float]], shown: Callable[[float], float] = lambda mean: mean
) -> Estimate:
    """The mean of all values; whole texts are drawn, for places of one text depend on each other.

    `shown` is a growing function of the mean that is wanted instead, such as its exponential.
    """
    parts = [(math.fsum(text), len(text)) for text in texts if text]
    value = shown(_ratio(parts))
    if len(parts) < FEWEST:
        return Estimate(value)
    draw = Random(0)
    means = sorted(_ratio(draw.choices(parts, k=len(parts))) for _ in range(RESAMPLES))
    low, high = means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES)]
    return Estimate(value, min(value, shown(low)), max(value, shown(high)))


def _ratio(parts: Sequence[tuple[float, int]]) -> float:
    return math.fsum(total for total, _ in parts) / sum(count for _, count in parts)


def difference(subject: Sequence[bool], reference: Sequence[bool]) -> Estimate:
    """Of two shares of the same questions, by where they differ (Agresti and Min 2005)."""
    pairs = list(zip(subject, reference, strict=True))
    gained = sum(one and not other for one, other in pairs)
    lost = sum(other and not one for one, other in pairs)
    value = (gained - lost) / len(pairs)
    items = len(pairs) + 2
    gained_more, lost_more = gained + 0.5, lost + 0.5
    middle = (gained_more - lost_more) / items
    varied = gained_more + lost_more - (gained_more - lost_more) ** 2 / items
    spread = NORMAL_975 * math.sqrt(varied) / items
    return Estimate(value, max(-1.0, middle - spread), min(1.0, middle + spread))
