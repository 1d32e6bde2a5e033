"""What can't be planned, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pilotlight.errors import PlanError
from pilotlight.planner.asked_text import asked_lines
from pilotlight.planner.requirements import ServiceLevel
from pilotlight.planner.traces import Arrival, Trace
from pilotlight.planner.traffic import Traffic, from_trace, steady

from .searches import answer, asked, facts_of, search


def test_an_impossible_service_level_shows_what_comes_nearest() -> None:
    service = ServiceLevel(ttft_ms=1, tpot_ms=0.01, percentile=99)
    found = answer("llama-3.1-8b", asked(1, service=service), facts_of("g6.xlarge", "p5.4xlarge"))
    assert found.plans == ()
    assert found.front == ()
    assert [each.kind for each in found.rejections] == ["speed"]
    assert "> 1 ms for one user alone" in found.rejections[0].reason
    assert "p99 TPOT" in found.nearest[0].misses[-1]
    assert found.nearest[0].deployment.offer == "p5.4xlarge", "the faster one comes nearer"


def test_a_budget_that_is_too_small_says_by_how_much() -> None:
    found = answer("llama-3.1-8b", asked(1, usd_per_month=5.0), facts_of("g6.xlarge"))
    assert found.plans == ()
    assert {each.kind for each in found.rejections} == {"cost"}
    assert found.rejections[0].reason.startswith("$")
    assert "a month > $5" in found.rejections[0].reason
    assert found.nearest[0].misses


def test_a_model_that_fits_nowhere_says_what_it_lacks() -> None:
    found = answer("llama-3.1-70b", asked(0.1), facts_of("g6.xlarge", "lambda-x86-10240"))
    assert found.plans == ()
    assert found.nearest == ()
    reasons = {each.family: each.reason for each in found.rejections}
    assert "doesn't fit by" in reasons["AWS Lambda, x86"]


def test_a_context_beyond_the_models_is_refused() -> None:
    with pytest.raises(PlanError, match=r"beyond llama-3\.1-8b's 131072") as caught:
        answer("llama-3.1-8b", asked(context=200_000), facts_of("g6.xlarge"))
    assert "131072" in str(caught.value.hint)


def test_a_context_that_nobody_asked_for_goes_down_to_the_models() -> None:
    found = answer("llama-2-7b", asked(0.1, tokens=(3000, 500)), facts_of("g6.xlarge"))
    assert found.plans[0].deployment.context == 4096


def test_a_context_with_no_room_for_the_mean_request_is_refused() -> None:
    with pytest.raises(PlanError, match="no room for the mean request of 640"):
        asked(context=600)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"service": ServiceLevel(ttft_ms=-1)}, "TTFT of -1"),
        ({"service": ServiceLevel(tpot_ms=0)}, "TPOT of 0"),
        ({"service": ServiceLevel(percentile=100)}, "percentile is 100"),
        ({"usd_per_month": -3.0}, "budget is -3.0"),
        ({"max_gpus": 0}, "--max-gpus is 0"),
        ({"concurrency": 0}, "--batch is 0"),
    ],
)
def test_limits_that_cant_be_are_refused(changed: dict[str, object], said: str) -> None:
    with pytest.raises(PlanError) as caught:
        asked(1.0, **changed)  # type: ignore[arg-type]
    assert said in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_no_load_is_nothing_to_plan_for(rate: float) -> None:
    with pytest.raises(PlanError) as caught:
        asked(traffic=steady(rate, 512, 128))
    assert caught.value.hint


def test_a_private_plan_rents_nothing() -> None:
    offers = ("g6.xlarge", "own-desktop-4090", "modal-l4")
    found = answer("llama-3.1-8b", asked(0.2, private=True), facts_of(*offers))
    assert {plan.deployment.platform for plan in found.plans} == {"own"}
    assert "somebody else's machine" in found.rejections[0].reason


def test_every_limit_is_said_above_the_answer() -> None:
    question = replace(
        asked(
            1, platforms=("gce",), gpus=("l4",), engines=("vllm",), quantizations=("fp8",),
            regions=("us-east-1",), usd_per_month=900.0, max_gpus=2, private=True, min_bits=6.5,
            scale_to_zero=False, concurrency=16, kv_type="q8_0",
        ),
        free_tier=True,
    )  # fmt: skip
    told = dict(asked_lines(question))["limits"]
    assert told == (
        "platform gce, gpu l4, engine vllm, quantization fp8, region us-east-1, own machines only, "
        "$900 a month, never to zero, free amounts counted, 2 GPUs at most, "
        "6.5 bits a weight at least, 16 at once at most, cache in q8_0"
    )
    assert "limits" not in dict(asked_lines(asked(1)))


def test_limits_leave_out_without_a_word() -> None:
    found = answer(
        "llama-3.1-8b",
        asked(0.2, gpus=("l4",), engines=("vllm",)),
        facts_of("g6.xlarge", "g5.xlarge"),
    )
    assert {plan.deployment.gpu for plan in found.plans} == {"l4"}
    assert {plan.deployment.engine for plan in found.plans} == {"vllm"}
    assert not any("A10G" in each.family for each in found.rejections)


def test_a_cache_that_nobody_knows_the_size_of_is_refused() -> None:
    facts = facts_of("g6.xlarge")
    for engine, said in (("vllm", "nobody knows what a cache"), ("llamacpp", "has no cache of")):
        question = asked(0.2, kv_type="turboquant_4bit_nc", engines=(engine,))
        found = answer("llama-3.1-8b", question, facts)
        assert not found.plans
        assert said in found.rejections[0].reason
        assert {each.kind for each in found.rejections} == {"engine"}


def test_nothing_left_to_choose_from_is_an_error() -> None:
    with pytest.raises(PlanError, match="left to choose from"):
        answer("llama-3.1-8b", asked(0.2, gpus=("t4",)), facts_of("g6.xlarge"))


def test_below_four_bits_only_who_asks_for_it() -> None:
    some = search("llama-3.1-8b", facts_of("own-desktop-4090"), quantizations=("q2_k", "q4_k_m"))
    used = {plan.deployment.quantization for plan in some.answer(asked(0.2)).plans}
    assert used == {"q4_k_m"}
    wanted = some.answer(asked(0.2, min_bits=2.0))
    assert {plan.deployment.quantization for plan in wanted.plans} == {"q2_k", "q4_k_m"}


def test_a_batch_is_planned_for_its_mean() -> None:
    day = steady(8, 512, 128, hours_per_day=6)
    facts = facts_of("g6.xlarge")
    batch = answer("llama-3.1-8b", asked(traffic=day, mode="batch"), facts)
    live = answer("llama-3.1-8b", asked(traffic=day), facts)
    fewest = [min(p.deployment.machines for p in found.plans) for found in (batch, live)]
    assert fewest[0] < fewest[1]


def bursts() -> Traffic:
    """Ten requests at once, each hour of a day."""
    arrivals = (Arrival(3600.0 * hour + i, 400, 100) for hour in range(24) for i in range(10))
    return from_trace(Trace(tuple(arrivals)))


def test_a_batch_is_not_turned_down_for_being_slow() -> None:
    service = ServiceLevel(ttft_ms=1, tpot_ms=1, percentile=95)
    facts = facts_of("c7g.16xlarge")
    assert answer("llama-3.1-8b", asked(0.05, service=service, mode="batch"), facts).plans
    assert not answer("llama-3.1-8b", asked(0.05, service=service), facts).plans


def test_a_plan_counts_machines_and_says_what_shares_one() -> None:
    plans = answer("qwen3-32b", asked(2, quantizations=("fp8",)), facts_of("runpod-l40s-x2")).plans
    names = {plan.deployment.gpus: plan.name for plan in plans if plan.deployment.engine == "vllm"}
    assert "1x runpod runpod-l40s-x2 (2 replicas, L40S each, batch" in names[1]
    assert "1x runpod runpod-l40s-x2 (2× L40S, batch" in names[2]


def test_a_trace_is_priced_request_by_request() -> None:
    traffic = bursts()
    facts = facts_of("lambda-x86-6144")
    service = ServiceLevel(percentile=95)
    found = answer("llama-3.2-1b", asked(traffic=traffic, service=service), facts)
    mean = answer(
        "llama-3.2-1b", asked(traffic=replace(traffic, trace=None), service=service), facts
    )
    shares = [plan.cold.share for each in (found, mean) for plan in each.plans[:1] if plan.cold]
    assert shares[0] > shares[1], "ten at once meet ten cold starts; a mean hides that"


def test_a_trace_that_costs_more_than_its_mean_shows_by_how_much_it_misses() -> None:
    traffic, service = bursts(), ServiceLevel(percentile=95)
    facts = facts_of("lambda-x86-6144")
    exact, mean = (
        answer("llama-3.2-1b", asked(traffic=each, service=service), facts).plans[0].money
        for each in (traffic, replace(traffic, trace=None))
    )
    between = (exact.usd_per_month + mean.usd_per_month) / 2
    assert mean.usd_per_month < between < exact.usd_per_month
    found = answer(
        "llama-3.2-1b", asked(traffic=traffic, service=service, usd_per_month=between), facts
    )
    assert not found.plans
    assert all(plan.misses for plan in found.nearest)
    assert found.nearest[0].money.usd_per_month > between
