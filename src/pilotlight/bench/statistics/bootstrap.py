"""Bounds by resampling. The same samples always give the same bounds: the draws are seeded."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean

from pilotlight.bench.figures import Estimate
from pilotlight.bench.statistics.dependence import FEWEST_BLOCKS, block_length, blocks, inflation
from pilotlight.bench.statistics.quantiles import quantile
from pilotlight.bench.statistics.student import NORMAL_975, mean_of, t_975

RESAMPLES = 1000
FEWEST_RUNS = 3
"""From so many on, runs are what repeats."""

MOST_BLOCKS = 64
"""More don't change the bounds, and cost."""

_POINTS = 400
"""Of each of the two grids that quantiles of blocks are looked for on."""

Bounds = tuple[float | None, float | None]


def quantile_bounds(ordered: Sequence[float], share: float) -> Bounds:
    """Of independent samples.

    The quantile of n draws from a sample is that sample's U-quantile, where U is Beta-distributed
    as the order statistic of n uniform draws is: so nothing needs to be drawn n times. A bound that
    would be the first or the last sample is None: the truth may lie beyond.
    """
    low, high = _places(len(ordered), share)
    return (
        ordered[low] if low > 0 else None,
        ordered[high] if high < len(ordered) - 1 else None,
    )


@lru_cache(maxsize=4096)
def _places(count: int, share: float) -> tuple[int, int]:
    """Of the bounds among `count` samples: whatever they are, the draws are the same."""
    at = (count - 1) * share
    draw = random.Random(0)
    found = sorted(draw.betavariate(at + 1, count - at) for _ in range(RESAMPLES))
    return int(quantile(found, 0.025) * count), int(quantile(found, 0.975) * count)


def block_quantile_bounds(
    pieces: Sequence[Sequence[float]], shares: Sequence[float]
) -> tuple[Bounds, ...]:
    """Of samples that are dependent within each piece, by drawing whole pieces."""
    grid = _grid(sorted(sample for piece in pieces for sample in piece))
    sizes = [len(piece) for piece in pieces]
    ordered = [sorted(piece) for piece in pieces]
    below = [[bisect_right(piece, point) for piece in ordered] for point in grid]
    found: list[list[int]] = [[] for _ in shares]
    for drawn in _draws(len(pieces)):
        total = sum(map(sizes.__getitem__, drawn))
        for places, share in zip(found, shares, strict=True):
            places.append(_place(below, drawn, share * total))
    return tuple(_grid_bounds(grid, sorted(places)) for places in found)


@lru_cache(maxsize=64)
def _draws(count: int) -> tuple[tuple[int, ...], ...]:
    """So many of so many blocks, with replacement, once a resampling."""
    draw = random.Random(0)
    return tuple(tuple(draw.choices(range(count), k=count)) for _ in range(RESAMPLES))


def _grid(ordered: Sequence[float]) -> list[float]:
    """Quantiles, close everywhere and closer at both ends."""
    count = len(ordered)
    if count <= 2 * _POINTS:
        return sorted(set(ordered))
    reach = math.log(count)
    steps = [index / (_POINTS - 1) for index in range(_POINTS)]
    logits = (1 / (1 + math.exp(-reach * (2 * step - 1))) for step in steps)
    places = {int((count - 1) * share) for share in (*steps, *logits)}
    return sorted({ordered[place] for place in places} | {ordered[0], ordered[-1]})


def _place(below: Sequence[Sequence[int]], drawn: Sequence[int], wanted: float) -> int:
    """The first point of the grid with `wanted` of the drawn samples at or below it."""
    low, high = 0, len(below) - 1
    while low < high:
        middle = (low + high) // 2
        if sum(map(below[middle].__getitem__, drawn)) >= wanted:
            high = middle
        else:
            low = middle + 1
    return low


def _grid_bounds(grid: Sequence[float], places: Sequence[int]) -> Bounds:
    low = places[int(0.025 * len(places))]
    high = places[min(math.ceil(0.975 * len(places)), len(places) - 1)]
    return (
        grid[low] if low > 0 else None,
        grid[high] if high < len(grid) - 1 else None,
    )


def rate(value: float, runs: Sequence[Sequence[float]]) -> Estimate:
    """`value` is a rate; `runs` are its slices in time, run by run.

    From three runs on they are what repeats, and Student's t over their means gives the bounds;
    with fewer, blocks of slices are drawn. No bounds where there are less than eight blocks.
    """
    held = [run for run in runs if run]
    if len(held) >= FEWEST_RUNS:
        found = mean_of([fmean(run) for run in held])
    else:
        found = _block_mean([one for run in held for one in run])
    if found.low is None or found.high is None or found.value <= 0:
        return Estimate(value)
    return Estimate(
        value, max(value * found.low / found.value, 0.0), value * found.high / found.value
    )


def _block_mean(series: Sequence[float]) -> Estimate:
    if len(series) < FEWEST_BLOCKS:
        return Estimate(fmean(series) if series else 0.0)
    means = [fmean(one) for one in blocks(series, block_length(series), MOST_BLOCKS)]
    middle, count = fmean(means), len(means)
    found = sorted(sum(map(means.__getitem__, drawn)) / count for drawn in _draws(count))
    # What few blocks lack: the bootstrap's variance is short by (n - 1)/n, its tails are normal.
    wider = math.sqrt(count / (count - 1)) * t_975(count - 1) / NORMAL_975
    low, high = (middle + (quantile(found, tail) - middle) * wider for tail in (0.025, 0.975))
    return Estimate(middle, low, high)


def proportion(hits: Sequence[bool]) -> Estimate | None:
    """Of yes among answers in order of time, by Wilson's interval.

    Their number is divided by what dependence costs: a stall that fails ten in a row is one event.
    """
    if not hits:
        return None
    held = [float(hit) for hit in hits]
    return wilson(fmean(held), len(held) / inflation(held))


def wilson(share: float, count: float) -> Estimate:
    """Of a share of `count` independent ones; holds also where it is none or all of them."""
    z = NORMAL_975
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + (z / count / 2) ** 2)
    # The interval holds the share, which rounding alone would break where it is 0 or 1.
    return Estimate(
        share, max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach))
    )
