"""Samples in order of time, as a distribution with percentiles, their bounds and a box."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from pilotlight.bench.figures import PERCENTILES, Distribution, Estimate
from pilotlight.bench.statistics.bootstrap import (
    MOST_BLOCKS,
    Bounds,
    block_quantile_bounds,
    quantile_bounds,
)
from pilotlight.bench.statistics.dependence import FEWEST_BLOCKS, block_length, blocks
from pilotlight.bench.statistics.quantiles import box, quantile

MOST_SAMPLES = 200_000
"""Of more, every n-th cluster is looked at."""


def distribution(series: Iterable[float | None]) -> Distribution | None:
    """Of what is known, in order of time; None where nothing is."""
    held = [sample for sample in series if sample is not None]
    if not held:
        return None
    length = block_length(held)
    pieces = None if length == 1 else blocks(held, length, MOST_BLOCKS)
    return _distribution(sorted(held), pieces)


def clustered(clusters: Iterable[Sequence[float]]) -> Distribution | None:
    """Of samples that come in clusters, in order of time, such as the gaps of one answer."""
    held = [cluster for cluster in clusters if cluster]
    step = -(-sum(map(len, held)) // MOST_SAMPLES) or 1
    held = held[::step]
    if not held:
        return None
    pieces = [
        [sample for cluster in block for sample in cluster]
        for block in blocks(held, block_length([fmean(one) for one in held]), MOST_BLOCKS)
    ]
    return _distribution(sorted(sample for piece in pieces for sample in piece), pieces)


def percentile(series: Iterable[float | None], at: float) -> Estimate | None:
    """Any percentile, where the samples can tell it."""
    held = [sample for sample in series if sample is not None]
    if not _told(len(held), at):
        return None
    length = block_length(held)
    pieces = None if length == 1 else blocks(held, length, MOST_BLOCKS)
    return _percentiles(sorted(held), pieces, (at,))[0]


def _distribution(
    ordered: Sequence[float], pieces: Sequence[Sequence[float]] | None
) -> Distribution:
    told = [at for at in PERCENTILES if _told(len(ordered), at)]
    found = dict(zip(told, _percentiles(ordered, pieces, told), strict=True))
    return Distribution(
        count=len(ordered),
        mean=fmean(ordered),
        p50=found.get(50.0),
        p90=found.get(90.0),
        p95=found.get(95.0),
        p99=found.get(99.0),
        box=box(ordered),
    )


def _percentiles(
    ordered: Sequence[float], pieces: Sequence[Sequence[float]] | None, at: Sequence[float]
) -> list[Estimate]:
    shares = [one / 100 for one in at]
    bounds: tuple[Bounds, ...]
    if pieces is None:
        bounds = tuple(quantile_bounds(ordered, share) for share in shares)
    elif len(pieces) < FEWEST_BLOCKS:
        bounds = ((None, None),) * len(shares)
    else:
        bounds = block_quantile_bounds(pieces, shares)
    values = [quantile(ordered, share) for share in shares]
    return [_within(value, *found) for value, found in zip(values, bounds, strict=True)]


def _within(value: float, low: float | None, high: float | None) -> Estimate:
    """A quantile lies between samples, its bounds on some: in few they may cross."""
    return Estimate(
        value,
        None if low is None else min(low, value),
        None if high is None else max(high, value),
    )


def _told(count: int, at: float) -> bool:
    """At least one sample is to be expected beyond it; a median has itself."""
    return count > 0 and (at <= 50 or count * (100 - at) >= 100)
