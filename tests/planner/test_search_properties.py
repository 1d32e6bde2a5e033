"""What must hold of every search, whatever the figures are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pilotlight.planner.plan import Answer
from pilotlight.planner.rank import latency_ms
from pilotlight.planner.requirements import ServiceLevel
from pilotlight.planner.search import Facts

from .searches import answer, asked, cheapest, facts_of, search

TESTS = Path(__file__).parents[1]
MODELS = ("llama-3.2-1b", "llama-3.1-8b", "qwen3-30b-a3b")
ON_GPUS = ("g6.xlarge", "g2-standard-4", "own-desktop-4090", "g5.xlarge")
FEW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _with_gpu(facts: Facts, name: str, **factors: float) -> Facts:
    """The same with one GPU's figures multiplied."""
    gpu = facts.gpus[name]
    changed = {field: getattr(gpu, field) * factor for field, factor in factors.items()}
    if "memory_mib" in changed:
        changed["memory_mib"] = int(changed["memory_mib"])
    return replace(facts, gpus={**facts.gpus, name: replace(gpu, **changed)})


@FEW
@example(model="qwen3-30b-a3b", offer="g6.xlarge", factor=2.0, tokens=(16, 772))
@given(
    model=st.sampled_from(MODELS),
    offer=st.sampled_from(("g6.xlarge", "g2-standard-4")),
    factor=st.floats(1.05, 4),
    tokens=st.tuples(st.integers(16, 3000), st.integers(2, 800)),
)
def test_more_memory_never_removes_a_plan(
    model: str, offer: str, factor: float, tokens: tuple[int, int]
) -> None:
    facts, question = facts_of(offer), asked(0.2, tokens)
    before = _hardware(answer(model, question, facts))
    assert before <= _hardware(answer(model, question, _with_gpu(facts, "l4", memory_mib=factor)))


def _hardware(found: Answer) -> set[tuple[object, ...]]:
    """Without how each scales: fewer, larger replicas get to zero less often, or wake too late."""
    return {plan.kind[:-1] for plan in found.plans}


@FEW
@given(
    model=st.sampled_from(MODELS[:2]),
    rate=st.floats(0.001, 50),
    factor=st.floats(2, 20),
)
def test_more_load_never_lowers_the_cost(model: str, rate: float, factor: float) -> None:
    some = search(model, facts_of(*ON_GPUS, "modal-l4", "lambda-x86-6144", "cloud-run-request-4x8"))
    less, more = some.answer(asked(rate)), some.answer(asked(rate * factor))
    if more.plans:
        assert less.plans, "what more load can be served with serves less"
        assert cheapest(less).money.usd_per_month <= cheapest(more).money.usd_per_month * 1.001


@FEW
@given(
    model=st.sampled_from(MODELS),
    factor=st.floats(1.01, 5),
    batch=st.sampled_from((1, 4, 32)),
)
def test_a_faster_gpu_never_raises_the_time_per_token(
    model: str, factor: float, batch: int
) -> None:
    facts = facts_of("g6.xlarge")
    question = asked(0.05, service=ServiceLevel(percentile=95), concurrency=batch)
    faster = _with_gpu(facts, "l4", bandwidth_gb_s=factor, fp16_tflops=factor, fp8_tflops=factor)
    before = {plan.kind: latency_ms(plan) for plan in answer(model, question, facts).plans}
    after = {plan.kind: latency_ms(plan) for plan in answer(model, question, faster).plans}
    assert before
    assert set(before) <= set(after)
    assert all(after[kind] <= before[kind] * 1.0001 for kind in before)


@FEW
@given(
    model=st.sampled_from(MODELS),
    rate=st.floats(0.01, 30),
    ttft_ms=st.floats(50, 5000),
    tpot_ms=st.floats(5, 300),
)
def test_every_plan_keeps_what_was_asked(
    model: str, rate: float, ttft_ms: float, tpot_ms: float
) -> None:
    service = ServiceLevel(ttft_ms=ttft_ms, tpot_ms=tpot_ms, percentile=95)
    found = answer(model, asked(rate, service=service), facts_of(*ON_GPUS))
    for plan in found.plans:
        assert plan.metrics.ttft_tail_ms is not None
        assert plan.metrics.tpot_tail_ms is not None
        assert plan.metrics.ttft_tail_ms.median <= ttft_ms
        assert plan.metrics.tpot_tail_ms.median <= tpot_ms
        assert plan.memory.used_bytes <= plan.memory.available_bytes
        assert plan.speed.attainment >= 0.95 - 1e-9
        most = plan.speed.capacity_per_s * plan.deployment.replicas
        assert rate <= most * 1.05, "the search for the most load stops within 3 %"


@FEW
@given(
    ttft=st.tuples(st.floats(50, 3000), st.floats(1, 4)),
    tpot=st.tuples(st.floats(5, 200), st.floats(1, 4)),
)
def test_a_looser_service_level_never_costs_more(
    ttft: tuple[float, float], tpot: tuple[float, float]
) -> None:
    some = search("llama-3.1-8b", facts_of(*ON_GPUS))
    tight = ServiceLevel(ttft_ms=ttft[0], tpot_ms=tpot[0], percentile=95)
    loose = ServiceLevel(ttft_ms=ttft[0] * ttft[1], tpot_ms=tpot[0] * tpot[1], percentile=95)
    hard, easy = some.answer(asked(2, service=tight)), some.answer(asked(2, service=loose))
    if hard.plans:
        cost = cheapest(easy).money.usd_per_month
        assert cost <= cheapest(hard).money.usd_per_month * 1.03, "the search for load stops at 3 %"


def test_every_candidate_is_a_plan_or_in_a_family_that_was_turned_down() -> None:
    found = answer("llama-3.1-8b", asked(1), facts_of("lambda-x86-10240", "g6.xlarge"))
    families = {each.family for each in found.rejections}
    assert "AWS Lambda, x86" in families
    offers = {plan.deployment.offer for plan in found.plans}
    assert offers == {"g6.xlarge"}
    assert found.looked_at >= sum(each.candidates for each in found.rejections)


def test_the_front_is_what_nobody_beats() -> None:
    found = answer("llama-3.1-8b", asked(2), facts_of(*ON_GPUS))
    points = [(plan.money.usd_per_mtok, latency_ms(plan)) for plan in found.plans]
    for plan in found.front:
        cost, latency = plan.money.usd_per_mtok, latency_ms(plan)
        assert not any(a < cost and b < latency for a, b in points)
    assert [plan.money.usd_per_mtok for plan in found.front] == sorted(
        plan.money.usd_per_mtok for plan in found.front
    )


def test_asking_twice_gives_the_same_answer() -> None:
    some = search("llama-3.2-1b", facts_of(*ON_GPUS))
    assert some.answer(asked(1)) == some.answer(asked(1))
    assert some.answer(asked(1)) == answer("llama-3.2-1b", asked(1), facts_of(*ON_GPUS))
