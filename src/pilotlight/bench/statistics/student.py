"""Student's t: how far a mean of few may be off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from pilotlight.bench.figures import Estimate

NORMAL_975 = 1.959964
_T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Of 1 to 30 degrees of freedom, as every table has it."""


def t_975(freedom: int) -> float:
    """Beyond 30 degrees by the expansion about the normal (Abramowitz and Stegun, 26.7.5): two of
    its terms are exact to 0.001."""
    if freedom <= len(_T_975):
        return _T_975[freedom - 1]
    z = NORMAL_975
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2


def mean_of(values: Sequence[float]) -> Estimate:
    """With bounds from two values on."""
    middle = fmean(values)
    if len(values) < 2:
        return Estimate(middle)
    reach = t_975(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Estimate(middle, middle - reach, middle + reach)


def needed(values: Sequence[float], within: float, most: int = 1000) -> int | None:
    """How many values it takes until the mean's bounds are `within` of it, relatively.

    Goes by the spread of those at hand, of which there are two or more; None beyond `most`.
    """
    middle, spread = fmean(values), stdev(values)
    for count in range(len(values), most + 1):
        if t_975(count - 1) * spread / math.sqrt(count) <= within * abs(middle):
            return count
    return None
