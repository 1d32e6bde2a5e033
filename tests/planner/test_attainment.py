"""Which share keeps the service level, from a median and a tail."""

from __future__ import annotations

import pytest

from pilotlight.metrics import Metrics, Spread
from pilotlight.planner.attainment import share, warm_share
from pilotlight.planner.requirements import ServiceLevel


def metrics(middle_ms: float, tail_ms: float, percentile: float) -> Metrics:
    return Metrics(
        ttft_ms=Spread(middle_ms, middle_ms, middle_ms),
        ttft_tail_ms=Spread(tail_ms, tail_ms, tail_ms),
        tail_percentile=percentile,
    )


@pytest.mark.parametrize("percentile", [90.0, 95.0, 99.0])
def test_a_tail_at_the_limit_keeps_its_own_percentile(percentile: float) -> None:
    """Also where that isn't the one asked: cold starts ask more of those who find it warm."""
    asked = ServiceLevel(ttft_ms=500, percentile=90)
    assert warm_share(metrics(100, 500, percentile), asked) == pytest.approx(percentile / 100)


def test_cold_starts_past_the_limit_come_on_top() -> None:
    asked = ServiceLevel(ttft_ms=500, percentile=90)
    seen = metrics(100, 500, 95)
    assert share(seen, asked, cold_share=0.04, cold_s=3) == pytest.approx(0.95 * 0.96)
    assert share(seen, asked, cold_share=0.04, cold_s=0.3) == pytest.approx(0.95)
