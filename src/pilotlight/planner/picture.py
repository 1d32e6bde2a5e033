"""Cost against latency as an inline SVG: every plan a dot, those that nobody beats on a line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from pilotlight.planner.figures import dollars, milliseconds
from pilotlight.planner.plan import Answer, Plan
from pilotlight.planner.rank import latency_ms

WIDTH, HEIGHT = 760, 420
MOST_DOTS = 600
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 16, 48


@dataclass(frozen=True, slots=True)
class Axis:
    """A logarithmic scale from `low` to `high` onto pixels; which may run backwards."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> Axis:
        """With a little room on either side, also around a single value."""
        return cls(min(values) / 1.25, max(values) * 1.25, start, end)

    def at(self, value: float) -> float:
        along = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + along * (self.end - self.start)

    def ticks(self) -> Iterator[float]:
        """1, 2 and 5 of each power of ten; powers of ten alone where that is too many."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1, 2, 5) if len(decades) <= 4 else (1,)
        for decade in decades:
            for step in steps:
                if self.low <= step * 10.0**decade <= self.high:
                    yield step * 10.0**decade


def picture(answer: Answer) -> str:
    """An ``<svg>`` element; empty without plans to draw."""
    plans = [plan for plan in _spread(answer.plans) if _drawable(plan)]
    if not plans:
        return ""
    best = [plan for plan in answer.front if _drawable(plan)]
    seen = [*plans, *best]
    across = Axis.over([plan.money.usd_per_mtok for plan in seen], _LEFT, WIDTH - _RIGHT)
    up = Axis.over([latency_ms(plan) for plan in seen], HEIGHT - _BOTTOM, _TOP)
    parts = [
        *_frame(across, up),
        *(_dot(plan, across, up, best=False) for plan in plans),
        *_line(best, across, up),
    ]
    label = "Dollars per million output tokens against time per token"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _spread(plans: Sequence[Plan]) -> Sequence[Plan]:
    """The best of each offer, engine and quantization: thousands of dots hide each other."""
    found: dict[tuple[object, ...], Plan] = {}
    for plan in plans:
        d = plan.deployment
        found.setdefault((d.offer, d.gpus, d.engine, d.model, d.quantization), plan)
    return [*found.values()][:MOST_DOTS]


def _drawable(plan: Plan) -> bool:
    """A logarithm needs more than nothing, and an end."""
    return plan.money.usd_per_mtok > 0 and 0 < latency_ms(plan) < math.inf


def _frame(across: Axis, up: Axis) -> Iterator[str]:
    bottom = HEIGHT - _BOTTOM
    for value in across.ticks():
        x = across.at(value)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{dollars(value)}</text>'
    for value in up.ticks():
        y = up.at(value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        words = milliseconds(value)
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{words}</text>'
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    yield (
        f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">'
        "dollars per million output tokens</text>"
    )
    yield (
        f'<text x="14" y="{(_TOP + bottom) / 2:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 14 {(_TOP + bottom) / 2:.0f})">time per token</text>'
    )


def _dot(plan: Plan, across: Axis, up: Axis, *, best: bool) -> str:
    x, y = across.at(plan.money.usd_per_mtok), up.at(latency_ms(plan))
    words = f"{plan.name}: {dollars(plan.money.usd_per_mtok)}, {milliseconds(latency_ms(plan))}"
    kind = "best" if best else "plan"
    return (
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{5 if best else 3}">'
        f"<title>{escape(words)}</title></circle>"
    )


def _line(plans: Sequence[Plan], across: Axis, up: Axis) -> Iterator[str]:
    points = [(across.at(p.money.usd_per_mtok), up.at(latency_ms(p))) for p in plans]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<polyline class="front" points="{path}"/>'
    yield from (_dot(plan, across, up, best=True) for plan in plans)
