"""Probabilities of a Poisson number, precise far out in its tails."""

from __future__ import annotations

import math
from functools import lru_cache


def exactly(mean: float, count: int) -> float:
    """P(N = count)."""
    if mean <= 0:
        return float(count == 0)
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


@lru_cache(maxsize=65536)
def at_least(mean: float, count: int) -> float:
    """P(N >= count)."""
    if count <= 0:
        return 1.0
    if count > mean:
        return _upward(mean, count)
    return 1 - _downward(mean, count - 1)


def _upward(mean: float, count: int) -> float:
    term, total = exactly(mean, count), 0.0
    while term > 1e-12 * total:
        total += term
        count += 1
        term *= mean / count
    return total


def _downward(mean: float, count: int) -> float:
    """P(N <= count)."""
    term, total = exactly(mean, count), 0.0
    while count >= 0 and term > 1e-12 * total:
        total += term
        term *= count / mean
        count -= 1
    return total
