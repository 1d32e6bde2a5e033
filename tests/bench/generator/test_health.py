"""The verdict names what made the generator the limit, and nothing else does."""

from __future__ import annotations

import contextlib
import gc
from array import array
from typing import Any

import pytest

from pilotlight.bench.generator.collector import rare_collections
from pilotlight.bench.health import GeneratorHealth, Pulse, health


def judged(*, lags_ms: Any = (1.0,), stalls_ms: Any = (1.0,), **more: Any) -> GeneratorHealth:
    pulse = Pulse(
        lags_s=array("d", [lag / 1000 for lag in lags_ms]),
        stalls_s=array("d", [stall / 1000 for stall in stalls_ms]),
    )
    return health(pulse, **{"cpu_s": 1.0, "wall_s": 10.0, **more})


def test_percentiles_are_of_what_was_noted() -> None:
    found = judged(lags_ms=range(1, 101), stalls_ms=[2.0])
    assert found.lag_p50_ms == pytest.approx(50.0)
    assert found.lag_p99_ms == pytest.approx(99.0)
    assert found.lag_max_ms == pytest.approx(100.0)
    assert found.stall_p99_ms == found.stall_max_ms == pytest.approx(2.0)
    assert found.cpu_share == pytest.approx(0.1)


def test_a_generator_that_kept_up_says_so() -> None:
    found = judged()
    assert not found.was_limit
    assert found.verdict == "the generator kept up"


@pytest.mark.parametrize(
    ("noted", "words"),
    [
        ({"lags_ms": [1.0] * 50 + [9.0]}, "p99 dispatch lag is 9.0 ms, over 5.0 ms"),
        ({"stalls_ms": [8.0]}, "p99 stall of its event loop is 8.0 ms"),
        ({"cpu_s": 9.6}, "it took 96% of a core"),
        ({"exhausted": "Too many open files"}, "no more connections: Too many open files"),
    ],
)
def test_the_limit_is_named(noted: dict[str, Any], words: str) -> None:
    found = judged(**noted)
    assert found.was_limit
    assert len(found.reasons) == 1
    assert words in found.verdict


def test_lateness_is_held_against_what_is_measured() -> None:
    """Nine milliseconds are much of twenty and little of a second."""
    assert judged(lags_ms=[9.0], ttft_ms=20.0).was_limit
    assert not judged(lags_ms=[9.0], ttft_ms=1000.0).was_limit
    assert judged(lags_ms=[110.0], ttft_ms=1000.0).was_limit


def test_whose_fault_lateness_is_is_said() -> None:
    assert "10% of a core used: others kept" in judged(lags_ms=[9.0], cpu_s=1.0).verdict
    assert "others" not in judged(lags_ms=[9.0], cpu_s=8.0).verdict


def test_one_late_request_of_many_is_no_limit() -> None:
    assert not judged(lags_ms=[1.0] * 199 + [50.0]).was_limit


def test_nothing_sent_is_nothing_known() -> None:
    found = judged(lags_ms=(), stalls_ms=(), wall_s=0.0)
    assert (found.lag_p99_ms, found.stall_max_ms, found.cpu_share) == (None, None, None)
    assert not found.was_limit


def test_the_collector_is_as_before_afterwards() -> None:
    before = gc.get_threshold()
    with contextlib.suppress(ValueError), rare_collections():
        assert gc.get_threshold()[2] > before[2]
        raise ValueError("midway")
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
