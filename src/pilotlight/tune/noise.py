"""How far two measurements of the same thing lie apart on this machine, learnt as it goes."""

from __future__ import annotations

import math
from collections.abc import Iterable

PRIOR, PRIOR_WEIGHT, FLOOR = 0.05, 3.0, 0.01
"""Standard deviation of a full trial, relative to its score; in how many repeats' worth of belief;
and what no machine is believed to stay below."""


def relative_noise(repeats: Iterable[list[tuple[float, float]]], full_s: float) -> float:
    """Standard deviation of a trial of `full_s`, from lists of (seconds, score) of one setting.

    A shorter trial is noisier by the root of its share, so its deviation counts for less.
    """
    squares, freedom = PRIOR**2 * PRIOR_WEIGHT, PRIOR_WEIGHT
    for trials in repeats:
        if len(trials) < 2 or min(score for _, score in trials) <= 0:
            continue
        total_s = sum(seconds for seconds, _ in trials)
        mean = sum(seconds * math.log(score) for seconds, score in trials) / total_s
        squares += sum(
            seconds / full_s * (math.log(score) - mean) ** 2 for seconds, score in trials
        )
        freedom += len(trials) - 1
    return max(FLOOR, math.sqrt(squares / freedom))
