"""Which share of the requests keeps the service level, from a median, a tail and the cold starts.

Between and beyond the two known points latencies are taken to fall off exponentially: half of the
requests are over the median, 1 - p over the tail.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from pilotlight.metrics import Metrics, Spread
from pilotlight.planner.requirements import ServiceLevel


def warm_share(metrics: Metrics, service: ServiceLevel) -> float:
    """Of requests that meet a running replica. Who misses one limit mostly misses the other: both
    break when it is crowded, so the worse of them counts."""
    # The tail may be of another percentile than the one asked: cold starts leave fewer to miss.
    percentile = (metrics.tail_percentile or service.percentile) / 100
    misses = [_missed(*each, percentile) for each in _limited(metrics, service)]
    return 1.0 - max(misses, default=0.0)


def _limited(metrics: Metrics, service: ServiceLevel) -> Iterator[tuple[float, float, float]]:
    """Median, tail and limit of each latency that has one."""
    pairs = (
        (metrics.ttft_ms, metrics.ttft_tail_ms, service.ttft_ms),
        (metrics.tpot_ms, metrics.tpot_tail_ms, service.tpot_ms),
    )
    for middle, tail, limit in pairs:
        if isinstance(middle, Spread) and isinstance(tail, Spread) and limit is not None:
            yield middle.median, tail.median, limit


def _missed(middle: float, tail: float, limit: float, percentile: float) -> float:
    if tail <= middle:  # no spread at all: everybody gets the same
        return 0.0 if middle <= limit else 1.0
    if limit <= middle:
        return min(1.0, 0.5 * (1 + (middle - limit) / middle))
    rate = math.log(0.5 / (1 - percentile)) / (tail - middle)
    return 0.5 * math.exp(-rate * (limit - middle))


def share(metrics: Metrics, service: ServiceLevel, cold_share: float, cold_s: float) -> float:
    """Of all requests; one that waits for a cold start longer than the TTFT allows misses."""
    warm = warm_share(metrics, service)
    late = service.ttft_ms is not None and cold_s * 1000 > service.ttft_ms
    return warm * (1 - cold_share) if late else warm
