"""Two plans side by side: what differs, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pilotlight.planner.figures import UNKNOWN, dollars, median, milliseconds, number, percent
from pilotlight.planner.plan import Plan
from pilotlight.quantities import about_bytes


@dataclass(frozen=True, slots=True)
class Difference:
    """`change` is how B stands to A; empty where there is nothing to divide."""

    what: str
    first: str
    second: str
    change: str = ""


def differences(first: Plan, second: Plan) -> Iterator[Difference]:
    """Choices that differ, then every figure."""
    yield from _choices(first, second)
    yield from _figures(first, second)
    if first.misses or second.misses:
        yield Difference("misses", "; ".join(first.misses), "; ".join(second.misses))


def _choices(first: Plan, second: Plan) -> Iterator[Difference]:
    for name in _CHOICES:
        a, b = (str(getattr(plan.deployment, name)) for plan in (first, second))
        if a != b:
            yield Difference(name, a, b)


_CHOICES = (
    "model", "quantization", "engine", "platform", "offer", "hardware", "concurrency", "context",
    "machines", "replicas", "scaling",
)  # fmt: skip


def _figures(first: Plan, second: Plan) -> Iterator[Difference]:
    for what, name in _LATENCIES:
        a, b = (median(getattr(plan.metrics, name)) for plan in (first, second))
        yield Difference(what, milliseconds(a), milliseconds(b), _ratio(a, b))
    for what, show, value in _AMOUNTS:
        yield Difference(
            what, show(value(first)), show(value(second)), _ratio(value(first), value(second))
        )
    joules = [median(plan.metrics.joules_per_output_token) for plan in (first, second)]
    shown = [UNKNOWN if value is None else number(value) for value in joules]
    yield Difference("joules a token", shown[0], shown[1], _ratio(joules[0], joules[1]))
    a, b = first.memory.used_bytes, second.memory.used_bytes
    yield Difference("memory", about_bytes(a), about_bytes(b), _ratio(a, b))
    kept = [percent(plan.speed.attainment) for plan in (first, second)]
    yield Difference("keep the service level", kept[0], kept[1])
    yield Difference("bottleneck", first.speed.bottleneck, second.speed.bottleneck)


_LATENCIES = (
    ("TTFT", "ttft_ms"), ("TTFT, tail", "ttft_tail_ms"), ("TPOT", "tpot_ms"),
    ("TPOT, tail", "tpot_tail_ms"),
)  # fmt: skip


_AMOUNTS: tuple[tuple[str, Callable[[float], str], Callable[[Plan], float]], ...] = (
    ("requests/s of a replica at most", number, lambda plan: plan.speed.capacity_per_s),
    ("dollars a month", dollars, lambda plan: plan.money.usd_per_month),
    ("dollars a million tokens", dollars, lambda plan: plan.money.usd_per_mtok),
)


def _ratio(first: float | None, second: float | None) -> str:
    return f"{number(second / first)}×" if first and second is not None else ""
