"""The eight situations: what must come out of each, and that its figures are the known ones."""

from __future__ import annotations

from functools import lru_cache

import pytest

from pilotlight.planner.plan import Answer, Plan

from .situations import GOLDEN, SITUATIONS, text


@lru_cache(maxsize=8)
def found(name: str) -> Answer:
    return SITUATIONS[name].answer()


def best(name: str) -> Plan:
    return found(name).plans[0]


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_answer_is_the_known_one(name: str) -> None:
    expected = (GOLDEN / f"{name}.txt").read_text()
    assert text(found(name)) == expected, "on purpose? cd tests && python -m planner.situations"


def test_a_1b_on_lambda_answers_one_request_in_an_environment() -> None:
    plan = best("a-1b-on-lambda")
    assert plan.deployment.concurrency == 1
    assert plan.deployment.scaling == "to-zero"
    assert plan.cold is not None
    assert plan.money.usd_per_month < 40
    assert plan.deployment.engine == "llamacpp"


def test_an_8b_fits_one_l4_and_memory_is_what_limits_its_bits() -> None:
    plans = found("an-8b-on-one-l4").plans
    assert {plan.deployment.gpus for plan in plans} == {1}
    assert all(plan.memory.available_bytes < 25e9 for plan in plans)
    assert best("an-8b-on-one-l4").speed.bottleneck == "bandwidth"


def test_a_70b_needs_several_h100s_above_eight_bits() -> None:
    plans = found("a-70b-on-h100s").plans
    wide = [plan for plan in plans if plan.deployment.bits_per_weight > 15]
    assert wide, "BF16 runs on enough of them"
    assert min(plan.deployment.gpus for plan in wide) >= 2
    together = [plan for plan in wide if plan.deployment.engine == "vllm"]
    assert all(
        plan.deployment.options["tensor_parallel_size"] == plan.deployment.gpus for plan in together
    )


def test_a_mixture_reads_only_the_experts_it_uses() -> None:
    plans = [p for p in found("a-mixture-of-experts").plans if p.deployment.gpus == 1]
    plan = min(plans, key=lambda p: p.metrics.tpot_ms.median if p.metrics.tpot_ms else 1e9)
    assert plan.metrics.tpot_ms is not None
    whole_ms = plan.memory.parts.get("weights", 63e9) / 3.35e12 * 1000
    assert plan.metrics.tpot_ms.median < whole_ms * 1.5, "a dense 117B would take all of it"


def test_a_desktop_leaves_layers_to_its_cpu() -> None:
    plan = best("a-24-gb-desktop-with-the-rest-on-the-cpu")
    assert plan.deployment.engine == "llamacpp"
    assert plan.deployment.gpu_layers is not None
    assert 0 < plan.deployment.gpu_layers < 64
    assert plan.deployment.hardware.endswith("+ CPU")


def test_a_server_without_gpus_runs_an_8b() -> None:
    plan = best("a-cpu-only-server")
    assert plan.deployment.gpu is None
    assert plan.deployment.offer == "own-server-epyc"
    engines = {other.deployment.engine for other in found("a-cpu-only-server").plans}
    assert {"llamacpp", "vllm"} <= engines


def test_scale_to_zero_wins_where_traffic_comes_in_bursts() -> None:
    plan = best("bursty-traffic-goes-to-zero")
    assert plan.deployment.scaling == "to-zero"
    assert plan.cold is not None
    assert plan.cold.per_hour > 0
    steady = _always_on(found("bursty-traffic-goes-to-zero"))
    assert plan.money.usd_per_month < steady.money.usd_per_month


def test_scale_to_zero_loses_where_traffic_is_steady() -> None:
    plan = best("steady-traffic-stays-up")
    assert plan.deployment.scaling == "always-on"
    to_zero = [
        other.money.usd_per_month
        for other in found("steady-traffic-stays-up").plans
        if other.deployment.scaling == "to-zero"
    ]
    assert plan.money.usd_per_month <= min(to_zero, default=float("inf")) * 1.0001


def _always_on(answer: Answer) -> Plan:
    return next(plan for plan in answer.plans if plan.deployment.scaling == "always-on")
