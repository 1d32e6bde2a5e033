"""What can't be planned, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pilotlight.errors import PlanError
from pilotlight.planner.requirements import ServiceLevel
from pilotlight.planner.traffic import steady

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


def test_limits_leave_out_without_a_word() -> None:
    found = answer(
        "llama-3.1-8b",
        asked(0.2, gpus=("l4",), engines=("vllm",)),
        facts_of("g6.xlarge", "g5.xlarge"),
    )
    assert {plan.deployment.gpu for plan in found.plans} == {"l4"}
    assert {plan.deployment.engine for plan in found.plans} == {"vllm"}
    assert not any("A10G" in each.family for each in found.rejections)


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


def test_a_trace_is_priced_request_by_request() -> None:
    from pilotlight.planner.traces import Arrival, Trace
    from pilotlight.planner.traffic import from_trace

    bursts = [Arrival(3600.0 * hour + i, 400, 100) for hour in range(24) for i in range(10)]
    traffic = from_trace(Trace(tuple(bursts)))
    facts = facts_of("lambda-x86-6144")
    service = ServiceLevel(percentile=95)
    found = answer("llama-3.2-1b", asked(traffic=traffic, service=service), facts)
    mean = answer(
        "llama-3.2-1b", asked(traffic=replace(traffic, trace=None), service=service), facts
    )
    shares = [plan.cold.share for each in (found, mean) for plan in each.plans[:1] if plan.cold]
    assert shares[0] > shares[1], "ten at once meet ten cold starts; a mean hides that"
