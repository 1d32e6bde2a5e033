"""Quantiles and the box of a sample."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from pilotlight.bench.figures import Box

WHISKER = 1.5
"""Interquartile ranges beyond a quartile from which on a sample is an outlier (Tukey)."""

OUTLIERS_KEPT = 50


def quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between neighbours, as NumPy and spreadsheets have it; raises IndexError of none."""
    at = (len(ordered) - 1) * share
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def box(ordered: Sequence[float]) -> Box:
    """Of one sample or more, in ascending order."""
    q1, median, q3 = (quantile(ordered, share) for share in (0.25, 0.5, 0.75))
    reach = WHISKER * (q3 - q1)
    first = bisect_left(ordered, q1 - reach)
    last = bisect_right(ordered, q3 + reach)
    below, above = ordered[:first], ordered[last:]
    furthest = sorted((*below, *above), key=lambda sample: abs(sample - median))[-OUTLIERS_KEPT:]
    return Box(
        low=ordered[first],
        q1=q1,
        median=median,
        q3=q3,
        high=ordered[last - 1],
        outliers=tuple(sorted(furthest)),
        outlier_count=len(below) + len(above),
    )
