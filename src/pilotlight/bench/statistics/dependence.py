"""How much samples say of each other: requests that shared a batch or a stall are no two facts."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, pvariance
from typing import TypeVar

LEAST = 20
"""Of fewer samples a correlation says nothing."""

FEWEST_BLOCKS = 8

T = TypeVar("T")


def block_length(series: Sequence[float]) -> int:
    """How many neighbours in time make one block that is independent of the next.

    1 where the correlation of neighbours is within noise; else the best length for non-overlapping
    blocks of an AR(1) process, n^(1/3) · (2r / (1 - r²))^(2/3) (Carlstein, Annals of Statistics 14,
    1986). The correlation is that of ranks: one huge value must not hide it.
    """
    count = len(series)
    if count < LEAST:
        return 1
    found = neighbours(series)
    if found <= 2 / math.sqrt(count):
        return 1
    found = min(found, 0.99)
    best: float = (2 * found / (1 - found**2)) ** (2 / 3) * count ** (1 / 3)
    return min(math.ceil(best), count // FEWEST_BLOCKS)


def neighbours(series: Sequence[float]) -> float:
    """The lag-1 autocorrelation of the ranks; 0 where all are equal."""
    ordered = sorted(series)
    ranks = [(bisect_left(ordered, one) + bisect_right(ordered, one)) / 2 for one in series]
    middle = fmean(ranks)
    spread = pvariance(ranks, middle) * len(ranks)
    if spread == 0:
        return 0.0
    pairs = pairwise(ranks)
    return sum((one - middle) * (other - middle) for one, other in pairs) / spread


def blocks(series: Sequence[T], length: int, most: int) -> list[Sequence[T]]:
    """`series` in at most `most` pieces of nearly equal size, each of `length` or more."""
    count = max(min(len(series) // max(length, 1), most), 1)
    edges = [round(index * len(series) / count) for index in range(count + 1)]
    return [series[begin:end] for begin, end in pairwise(edges)]


def inflation(series: Sequence[float]) -> float:
    """By how much dependence widens the variance of the mean, from the means of blocks."""
    length = block_length(series)
    whole = pvariance(series) if len(series) > 1 else 0.0
    if length == 1 or whole == 0:
        return 1.0
    means = [fmean(block) for block in blocks(series, length, len(series))]
    return max(1.0, pvariance(means) * len(series) / len(means) / whole)
