"""Engines in one table: what each was measured to do, and what earlier runs had measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.report import Figure, Goal, Report
from benchmarks.spread import ratio, spread

THROUGH = Goal(0.97, at_least=True)
"""Output tokens/s through Pilotlight, of the same engine process asked directly."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must be equal for two engines to stand in one table."""

    machine: str
    model: str
    slots: int
    context: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One engine's rounds."""

    title: str
    build: str
    date: str
    starts_s: Sequence[float]
    """From the claim to the canary's token; the first, with cold caches, is not counted."""

    tokens_per_s: Mapping[str, Mapping[str, Sequence[float]]]
    """By concurrency (JSON has only texts as keys), then by arm: ``direct`` and ``pilotlight``."""

    @property
    def start(self) -> Figure:
        return Figure(f"{self.title}: claim to canary", "s", spread(self.starts_s[1:]))

    def speed(self, arm: str, concurrency: str) -> Figure:
        name = f"{self.title}: {arm} output, concurrency {concurrency}"
        return Figure(name, "tokens/s", spread(self.tokens_per_s[concurrency][arm]))

    def ratio(self, concurrency: str) -> Figure:
        arms = self.tokens_per_s[concurrency]
        name = f"{self.title}: output tokens/s of direct, concurrency {concurrency}"
        return Figure(name, "×", ratio(arms["pilotlight"], arms["direct"]), THROUGH)

    def figures(self) -> Iterator[Figure]:
        yield self.start
        for concurrency in self.tokens_per_s:
            yield self.speed("direct", concurrency)
            yield self.speed("pilotlight", concurrency)
            yield self.ratio(concurrency)


@dataclass(frozen=True, slots=True)
class SideBySide(Report):
    """A report whose table has a column for each concurrency, in Markdown."""

    engines: Mapping[str, Measured] = field(default_factory=dict)

    def table(self) -> str:
        levels = sorted(
            {level for each in self.engines.values() for level in each.tokens_per_s}, key=int
        )
        head = ("engine", "claim to canary", "concurrency", *levels)
        rows = [head, ("---",) * len(head)]
        for each in self.engines.values():
            rows += _rows(each, levels)
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _rows(engine: Measured, levels: Sequence[str]) -> Iterator[tuple[str, ...]]:
    known = engine.tokens_per_s
    for arm, shown in (("direct", "direct, tokens/s"), ("pilotlight", "through Pilotlight")):
        speeds = (
            _shown(engine.speed(arm, each).point) if each in known else "–" for each in levels
        )
        first = arm == "direct"
        start = f"{engine.start.point:.2g} s"
        yield (engine.title if first else "", start if first else "", shown, *speeds)
    yield ("", "", f"ratio ({THROUGH})", *(_ratio(engine, each) for each in levels))


def _ratio(engine: Measured, level: str) -> str:
    if level not in engine.tokens_per_s:
        return "–"
    figure = engine.ratio(level)
    return str(figure.value) if figure.met else f"{figure.value} MISSED"


def report(engines: Mapping[str, Measured], conditions: Conditions) -> SideBySide:
    figures = tuple(figure for each in engines.values() for figure in each.figures())
    raw = {
        "conditions": asdict(conditions),
        "engines": {name: asdict(each) for name, each in engines.items()},
    }
    builds = {name: each.build for name, each in engines.items()}
    return SideBySide("engines", figures, raw, builds, engines)


def earlier(path: Path, conditions: Conditions) -> dict[str, Measured]:
    """The engines that `path` holds; none where it was measured under other conditions."""
    if not path.exists():
        return {}
    raw = json.loads(path.read_text())["raw"]
    if raw["conditions"] != asdict(conditions):
        print(f"{path.name} was measured under other conditions and is replaced")
        return {}
    return {name: Measured(**each) for name, each in raw["engines"].items()}


def _shown(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 1000 else f"{figure:.3g}"
