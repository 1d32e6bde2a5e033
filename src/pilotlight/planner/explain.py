"""One plan in full: what limits it, what it takes, what it costs, and where it would lose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pilotlight.metrics import Spread
from pilotlight.planner.cost.rivals import rivals
from pilotlight.planner.figures import dollars, interval, milliseconds, number, percent
from pilotlight.planner.plan import Answer, Plan
from pilotlight.planner.search import Search
from pilotlight.planner.sensitivity import against_apis, against_next, changes
from pilotlight.quantities import about_bytes, about_seconds

Line = tuple[str, str]

WHY = {
    "bandwidth": "reading the weights takes most of a token's time: fewer bits, or faster memory",
    "compute": "multiplying takes most of a token's time: more compute, or smaller batches",
    "cache": "reading keys and values takes most of a token's time: shorter contexts, a smaller "
    "cache type, or fewer at once",
    "network": "GPUs wait for each other: fewer of them, or a faster link",
    "overhead": "fixed costs of steps and requests take most of a token's time: larger batches",
}


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    plan: Plan
    sections: tuple[Section, ...]


def explain(answer: Answer, plan: Plan, search: Search) -> Explanation:
    """Everything about `plan`; asks `search` again at other loads, which takes a second or so."""
    sections = (
        Section("Plan", tuple(_what(plan))),
        Section("Speed", tuple(_speed(plan))),
        Section("Memory", tuple(_memory(plan))),
        Section("Money", tuple(_money(plan))),
        Section("Break-even", tuple(_break_even(answer, plan, search))),
        Section("What would change the answer", tuple(changes(answer, search))),
        Section("Constants", tuple(_constants(answer, plan, search))),
    )
    return Explanation(plan, tuple(section for section in sections if section.lines))


def _what(plan: Plan) -> Iterator[Line]:
    d = plan.deployment
    yield "model", f"{d.model} in {d.quantization}" + (f", {d.ref}" if d.ref else "")
    machines = f"{d.machines} × {d.offer} on {d.platform}"
    yield "where", f"{machines}{f', {d.region}' if d.region else ''}; {d.scaling}"
    processor = f", {d.vcpus:.3g} vCPU" if d.gpu else ""
    each = f"{d.hardware}{processor}, {about_bytes(d.ram_bytes)} of RAM"
    yield "each replica", f"{each}; {d.replicas} in all, {d.concurrency} requests at once in each"
    yield "engine", f"{d.engine}: " + ", ".join(f"{k}={v}" for k, v in d.options.items())
    for missed in plan.misses:
        yield "misses", missed


def _speed(plan: Plan) -> Iterator[Line]:
    metrics, speed = plan.metrics, plan.speed
    yield "time to first token", _latency(metrics.ttft_ms, metrics.ttft_tail_ms, plan)
    yield "time per token", _latency(metrics.tpot_ms, metrics.tpot_tail_ms, plan)
    yield "output of a replica", interval(metrics.output_tokens_per_s, "tokens/s")
    parts = ", ".join(f"{name} {milliseconds(ms)}" for name, ms in speed.parts_ms.items())
    yield "a token's time", parts
    yield "bottleneck", f"{speed.bottleneck}: {WHY[speed.bottleneck]}"
    yield (
        "use",
        f"{percent(speed.utilization)} of what a full batch gets done; "
        f"{percent(speed.bandwidth_use)} of the memory's bandwidth, "
        f"{percent(speed.compute_use)} of the arithmetic; {number(speed.sequences)} in the batch",
    )
    yield (
        "takes at most",
        f"{number(speed.capacity_per_s)} requests/s in each replica within the service level",
    )
    yield "keep the service level", percent(speed.attainment)
    if plan.cold:
        yield (
            "cold starts",
            f"{number(plan.cold.per_hour)} an hour; {percent(plan.cold.share)} of requests wait "
            f"{about_seconds(plan.cold.seconds)}",
        )
        phases = (f"{name} {about_seconds(s)}" for name, s in speed.start_s.items() if s > 0)
        yield "a cold start", ", ".join(phases)


def _latency(middle: Spread | None, tail: Spread | None, plan: Plan) -> str:
    percentile = plan.metrics.tail_percentile
    text = interval(middle, "ms")
    if tail is None or percentile is None:
        return text
    return f"{text}; p{percentile:.4g} {interval(tail, 'ms')}"


def _memory(plan: Plan) -> Iterator[Line]:
    memory = plan.memory
    share = memory.used_bytes / memory.available_bytes
    yield (
        "used",
        f"{about_bytes(memory.used_bytes)} of {about_bytes(memory.available_bytes)} "
        f"({percent(share)}){' on each GPU' if plan.deployment.gpus > 1 else ''}, "
        f"by {_RULES.get(memory.rule, memory.rule)}",
    )
    parts = (f"{name} {about_bytes(size)}" for name, size in memory.parts.items() if size)
    yield "of which", ", ".join(parts)
    yield "room for", f"{memory.sequences:,} sequences of {plan.deployment.context:,} tokens"
    if memory.arithmetic:
        yield "rule", memory.arithmetic


_RULES = {
    "formula": "the formula",
    "engine": "the engine's own answer",
    "measured": "what was measured",
}


def _money(plan: Plan) -> Iterator[Line]:
    money = plan.money
    yield "a month", dollars(money.usd_per_month)
    for line in money.arithmetic:
        yield "", line
    yield (
        "a million output tokens",
        f"{interval(plan.metrics.usd_per_mtok, 'dollars')} within the service level",
    )
    joules = plan.metrics.joules_per_output_token
    if joules is not None:
        source = plan.metrics.energy_source or "unknown"
        yield "energy", f"{interval(joules, 'J')} an output token, {source}"
    if money.source:
        yield "prices from", f"{money.source}, {money.as_of}"


def _break_even(answer: Answer, plan: Plan, search: Search) -> Iterator[Line]:
    if plan.misses:
        return
    beside = against_next(answer, plan, search)
    if beside is not None:
        yield f"next: {beside.rival}", beside.text
    for each in against_apis(
        plan, search, answer.asked, rivals(search.facts.apis, plan.deployment.model)
    ):
        yield each.rival, each.text


def _constants(answer: Answer, plan: Plan, search: Search) -> Iterator[Line]:
    if plan.misses:
        return
    source = ""
    for each in search.constants(plan, answer.asked):
        if each.source != source:
            source = each.source
            yield "from", source
        yield each.name, each.value
