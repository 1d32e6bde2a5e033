"""Advice: what a search's own figures suggest, each with the figure."""

from __future__ import annotations

import re

from pilotlight.planner.advice import advice
from pilotlight.planner.plan import Advice
from pilotlight.planner.requirements import Requirements, ServiceLevel
from pilotlight.planner.sensitivity import against_apis, against_next, changes

from .searches import asked, catalog, facts_of, search

CHAT = ServiceLevel(ttft_ms=2000, tpot_ms=100, percentile=95)


def _advice(
    model: str, question: Requirements, *offers: str, quantizations: tuple[str, ...] = ()
) -> tuple[Advice, ...]:
    found = search(model, facts_of(*offers), quantizations).answer(question)
    return advice(found, catalog().quantizations, catalog().models)


def _of(hints: tuple[Advice, ...], start: str) -> Advice | None:
    return next((hint for hint in hints if hint.text.startswith(start)), None)


def test_below_eight_bits_the_model_is_to_be_measured() -> None:
    low = _advice("llama-3.1-8b", asked(0.5), "g6.xlarge", quantizations=("q4_k_m",))
    hint = _of(low, "measure llama-3.1-8b")
    assert hint is not None
    assert "KL divergence 0.03" in hint.evidence
    high = _advice("llama-3.1-8b", asked(0.5), "g6.xlarge", quantizations=("q8_0",))
    assert _of(high, "measure") is None


def test_a_model_trained_in_four_bits_lost_nothing() -> None:
    assert _of(_advice("gpt-oss-20b", asked(0.5, service=CHAT), "g6.xlarge"), "measure") is None


def test_the_bytes_of_sixteen_bits_hold_a_larger_model_in_four() -> None:
    hint = _of(_advice("qwen3-8b", asked(0.5), "g6.xlarge", quantizations=("bf16",)), "try")
    assert hint is not None
    assert hint.text.startswith("try qwen3-14b in 4 bits")
    assert "GB of weights" in hint.evidence


def test_layers_are_shared_rather_than_dealt_out() -> None:
    hint = _of(
        _advice("llama-3.3-70b", asked(0.5, service=CHAT), "runpod-l40s-x2", "runpod-l40s-x4"),
        "share layers",
    )
    assert hint is not None
    assert "on vllm against" in hint.evidence


def test_small_gpus_for_a_small_model_and_large_ones_for_a_large() -> None:
    offers = ("g2-standard-4", "g2-standard-96", "a3-highgpu-1g", "a3-highgpu-8g")
    small = _of(_advice("llama-3.1-8b", asked(1, service=CHAT), *offers), "rent")
    large = _of(_advice("llama-3.3-70b", asked(8, service=CHAT), *offers), "rent")
    assert small is not None
    assert large is not None
    assert small.text.startswith("rent L4")
    assert large.text.startswith("rent A100 or H100")


def test_a_replica_with_room_is_to_be_sent_more() -> None:
    hint = _of(_advice("llama-3.1-8b", asked(0.2, service=CHAT), "g6.xlarge"), "send it more")
    assert hint is not None
    most, times = (
        float(re.findall(pattern, text)[0])
        for pattern, text in (
            (r"up to ([\d.]+) requests/s", hint.text),
            (r"so ([\d.]+) times the load", hint.evidence),
        )
    )
    assert abs(times / (most / 0.2) - 1) < 0.02, "the load it takes over the load it has"


def test_scaling_is_compared_on_the_same_hardware() -> None:
    hint = _of(_advice("llama-3.1-8b", asked(3, service=CHAT), "modal-l4"), "stay up")
    assert hint is not None
    assert "less than" in hint.text


def test_a_fixed_price_beats_an_api_above_some_load() -> None:
    some = search("llama-3.1-8b", facts_of("g6.xlarge"))
    question = asked(1, service=CHAT)
    plan = some.answer(question).plans[0]
    (found,) = against_apis(plan, some, question, ["openai/gpt-4o"])
    assert found.cheaper == "above"
    assert found.at_per_s is not None
    each = some.facts.apis["openai/gpt-4o"].usd(512, 128)
    expected = plan.money.usd_per_month / (each * 30.4167 * 86400)
    assert abs(found.at_per_s / expected - 1) < 0.05


def test_the_next_plan_is_another_machine() -> None:
    some = search("llama-3.1-8b", facts_of("g6.xlarge", "own-desktop-4090"))
    found = some.answer(asked(1, service=CHAT))
    rival = against_next(found, found.plans[0], some)
    assert rival is not None
    assert "g6.xlarge" in rival.rival
    assert rival.rival_usd_per_month > found.plans[0].money.usd_per_month


def test_more_load_or_a_tighter_limit_changes_the_answer() -> None:
    some = search("llama-3.1-8b", facts_of("modal-l4", "g6.xlarge", "runpod-h100"))
    found = some.answer(asked(0.01, service=CHAT))
    told = dict(changes(found, some))
    assert any("times the load" in what for what in told)
    assert all("a month" in then or then == "no plan at all" for then in told.values())
