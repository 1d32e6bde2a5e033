"""The closed forms for waiting and batching, against an engine that is run step by step."""

from __future__ import annotations

import math

import pytest

from pilotlight.planner.queueing import crowded, erlang_c, for_a_place, for_prompts
from pilotlight.planner.requirements import Lengths
from pilotlight.planner.speed import Speed, at_load, capacity

from .engine_simulation import poisson, run, tpot_s, ttft_s
from .speed_setups import on_gpu

REQUESTS = 1500
CASES = [
    ("llama-3.1-8b", "a100-80gb", 1, "BF16", Lengths(input_tokens=512, output_tokens=128), 64),
    ("mixtral-8x7b", "h100-sxm", 2, "BF16", Lengths(input_tokens=256, output_tokens=128), 128),
    ("llama-3.1-8b", "l4", 1, "FP8", Lengths(input_tokens=1024, output_tokens=64), 16),
]


@pytest.mark.parametrize("load", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_the_closed_form_follows_the_simulation(
    case: tuple[str, str, int, str, Lengths, int], load: float
) -> None:
    name, gpu, ranks, quantization, lengths, places = case
    setup = on_gpu(name, gpu, quantization=quantization, ranks=ranks)
    rate = load * capacity(setup, lengths, places)
    found = at_load(setup, lengths, rate, places, 95)
    assert isinstance(found, Speed)
    seen = run(setup, lengths, poisson(rate, lengths, REQUESTS, seed=1), places)
    metrics = found.metrics
    assert metrics.tpot_ms
    assert metrics.tpot_tail_ms
    assert metrics.ttft_ms
    assert metrics.tpot_ms.median == pytest.approx(1000 * tpot_s(seen, 50), rel=0.1)
    assert metrics.tpot_tail_ms.median == pytest.approx(1000 * tpot_s(seen, 95), rel=0.2)
    assert metrics.ttft_ms.median == pytest.approx(1000 * ttft_s(seen, setup, 50), rel=0.2)


@pytest.mark.parametrize("load", [0.2, 0.5])
def test_the_tail_of_the_first_token_is_within_a_third(load: float) -> None:
    name, gpu, ranks, quantization, lengths, places = CASES[0]
    setup = on_gpu(name, gpu, quantization=quantization, ranks=ranks)
    rate = load * capacity(setup, lengths, places)
    found = at_load(setup, lengths, rate, places, 95)
    assert isinstance(found, Speed)
    assert found.metrics.ttft_tail_ms
    seen = run(setup, lengths, poisson(rate, lengths, REQUESTS, seed=2), places)
    assert found.metrics.ttft_tail_ms.median == pytest.approx(
        1000 * ttft_s(seen, setup, 95), rel=1 / 3
    )


def test_erlangs_c_at_known_points() -> None:
    """One server waits as often as it is busy; two at half load: 1/3."""
    assert erlang_c(0.7, 1) == pytest.approx(0.7)
    assert erlang_c(1.0, 2) == pytest.approx(1 / 3)
    assert erlang_c(4.0, 8) == pytest.approx(0.0590, abs=1e-4)


@pytest.mark.parametrize("load", [0.5, 0.8, 0.95])
def test_the_limit_for_many_places_joins_the_recursion(load: float) -> None:
    exact, limit = erlang_c(load * 64, 64), erlang_c(load * 65, 65)
    assert limit == pytest.approx(exact, rel=0.2, abs=0.01)


def test_nobody_waits_where_places_abound() -> None:
    wait = for_a_place(1.0, 100.0, 1.0, 100)
    assert wait.at(99) == 0.0
    assert wait.overall_s < 1e-6


def test_a_queue_grows_without_bound_towards_its_capacity() -> None:
    waits = [for_a_place(rate, 10.0, 8 / 10, 8).at(95) for rate in (5, 8, 9, 9.7)]
    assert waits == sorted(waits)
    assert waits[-1] > 5 * waits[1]


def test_prompts_wait_half_as_long_as_with_random_work() -> None:
    """M/D/1: ρ/(2(1-ρ)) services in the mean."""
    assert for_prompts(0.5, 1.0).overall_s == pytest.approx(0.5)


def test_crowds_are_poissons() -> None:
    assert crowded(100, 50) == pytest.approx(100)
    assert crowded(100, 95) == pytest.approx(100 + 1.645 * 10, abs=0.01)
    assert crowded(100, 95, spread=4) == pytest.approx(100 + 1.645 * 20, abs=0.01)
    assert math.isfinite(crowded(0, 99.9))
