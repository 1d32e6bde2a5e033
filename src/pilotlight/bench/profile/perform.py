"""The loads of a benchmark, one after the other, until its decision says that is all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from pilotlight.bench.load import Load
from pilotlight.bench.measure import Measured
from pilotlight.bench.profile.goodput import Found, Search, Seen, decide
from pilotlight.bench.profile.sweep import Climb, Step, best, next_users
from pilotlight.bench.report import Stage


class Measure(Protocol):
    """Performs one load; blocks."""

    def __call__(self, load: Load, *, name: str | None = None) -> Measured: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """What was measured, in order; `chosen` stands for all, and `notes` say why."""

    stages: tuple[Stage, ...]
    chosen: int = 0
    notes: tuple[str, ...] = ()
    stopped: bool = False


def each(measure: Measure, loads: Iterable[Load]) -> Stages:
    """Every one of `loads`; the last stands for all."""
    stages: list[Stage] = []
    stopped = False
    for load in loads:
        stopped = _stopped(measure, load, stages)
        if stopped:
            break
    return Stages(stages=tuple(stages), chosen=len(stages) - 1, stopped=stopped)


def _stopped(measure: Measure, load: Load, stages: list[Stage], name: str | None = None) -> bool:
    """Adds one to `stages`; whether somebody stopped it.

    Whoever does so between two runs loses none of those before; the first has none before it.
    """
    try:
        done = measure(afresh(load, len(stages)), name=name)
    except KeyboardInterrupt:
        if not stages:
            raise
        return True
    stages.append(done.stage)
    return done.stopped


def sweep(measure: Measure, load: Load, climb: Climb) -> Stages:
    """A closed loop with more and more users; `load` says all but how many."""
    stages: list[Stage] = []
    steps: list[Step] = []
    stopped = False
    while not stopped and (users := next_users(steps, climb)) is not None:
        warmup = max(load.warmup_requests, users) if load.warmup_requests else 0
        step = replace(load, kind="closed", concurrency=users, warmup_requests=warmup)
        stopped = _stopped(measure, step, stages)
        numbers = stages[-1].numbers
        rate = numbers.output_tokens_per_s or numbers.requests_per_s
        if len(stages) > len(steps):
            steps.append(Step(users, rate.value if rate else None))
    at = best(steps, climb.growth)
    note = f"{steps[at].users} at once is the fewest with about the most throughput"
    return Stages(stages=tuple(stages), chosen=at, notes=(note,), stopped=stopped)


def search(measure: Measure, load: Load, limits: Search, share: float) -> Stages:
    """The highest rate at which `share` of the requests keep the service level.

    `load` is of an open kind and says all but the rate; a stage lasts at least its `duration_s`.
    """
    stages: list[Stage] = []
    seen: list[Seen] = []
    while not isinstance(step := decide(seen, limits), Found):
        name = f"{step.rate:g}/s ({step.purpose})"
        if _stopped(measure, _at(load, step.rate), stages, name):
            note = "stopped before the search came to its end"
            return Stages(stages=tuple(stages), notes=(note,), stopped=True)
        seen.append(Seen(step.rate, holds(stages[-1], share)))
    return Stages(stages=tuple(stages), chosen=_at_rate(seen, step), notes=(step.why,))


def afresh(load: Load, nth: int) -> Load:
    """With arrivals and texts of its own: a confirmation isn't a repetition, and a server that
    caches prefixes doesn't know them from the load before."""
    return replace(load, seed=load.seed + 1000 * nth)


def holds(stage: Stage, share: float) -> bool:
    """Enough requests kept it, and the queue didn't grow: a longer run would hold it too."""
    kept = stage.numbers.slo_share
    if kept is None or kept.value < share:
        return False
    return stage.stability is None or stage.stability.verdict != "not steady"


ENOUGH = 40
"""Requests of a measurement at least, for a share of 95 % to mean anything."""

LONGEST = 8.0
"""Times `duration_s` that a slow rate may take to come to that many."""


def _at(load: Load, rate: float) -> Load:
    duration_s = load.duration_s
    if duration_s is not None:
        duration_s = min(max(duration_s, ENOUGH / rate), LONGEST * duration_s)
    return replace(load, requests_per_s=rate, duration_s=duration_s)


def _at_rate(seen: list[Seen], found: Found) -> int:
    """The last measurement of the rate that was found; the lowest of all where none was."""
    if found.rate is None:
        return min(range(len(seen)), key=lambda at: seen[at].rate)
    return max(at for at, one in enumerate(seen) if one.rate == found.rate)
