"""What a figure of a report is: never a bare number where samples lie behind it."""

from __future__ import annotations

from dataclasses import dataclass

CONFIDENCE = 0.95
"""Of every interval in a report."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and the bounds it lies between in 95 of 100 resamplings.

    The bounds are None where samples can't tell: too few of them, or a file that has none.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Tukey's: whiskers end at the furthest samples within 1.5 interquartile ranges of the box."""

    low: float
    q1: float
    median: float
    q3: float
    high: float
    outliers: tuple[float, ...] = ()
    """The furthest, when there are more than are kept."""

    outlier_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Samples of one quantity, in its unit; a percentile that so few can't tell is None.

    A percentile is given where at least one sample is to be expected beyond it: p99 from 100 on.
    Other tools' files have percentiles without samples: then `count` may be None, and `box` is.
    """

    count: int | None = None
    mean: float | None = None
    p50: Estimate | None = None
    p90: Estimate | None = None
    p95: Estimate | None = None
    p99: Estimate | None = None
    box: Box | None = None

    def at(self, percentile: float) -> Estimate | None:
        """One of 50, 90, 95 and 99; None of any other."""
        if percentile not in PERCENTILES:
            return None
        found: Estimate | None = getattr(self, f"p{percentile:g}")
        return found


PERCENTILES = (50.0, 90.0, 95.0, 99.0)
