"""The kinds of benchmark: one load, several, a sweep or a search; by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pilotlight.bench.load import Load, LoadKind
from pilotlight.bench.measure import Measured
from pilotlight.bench.profile.goodput import Search
from pilotlight.bench.profile.perform import Measure, Stages, afresh, each, search, sweep
from pilotlight.bench.profile.sweep import Climb
from pilotlight.bench.report import Stage
from pilotlight.bench.slo import Slo
from pilotlight.errors import BenchError

Kind = LoadKind | Literal["sweep", "goodput"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`loads` are run one after the other; of a sweep or a search the first says all that they
    don't choose."""

    kind: Kind
    loads: tuple[Load, ...]
    climb: Climb = field(default_factory=Climb)
    start_per_s: float | None = None
    """Where a search begins; else at what one user alone gets."""


def perform(profile: Profile, measure: Measure, slo: Slo | None) -> Stages:
    """Blocks until all is measured, or somebody stopped it."""
    return _PERFORMERS[profile.kind](profile, measure, slo)


def _each(profile: Profile, measure: Measure, slo: Slo | None) -> Stages:
    return each(measure, profile.loads)


def _sweep(profile: Profile, measure: Measure, slo: Slo | None) -> Stages:
    return sweep(measure, profile.loads[0], profile.climb)


def _goodput(profile: Profile, measure: Measure, slo: Slo | None) -> Stages:
    if slo is None:
        raise BenchError("a goodput search needs a service level", hint="give --slo or --ttft")
    load, start = profile.loads[0], profile.start_per_s
    if start is None:
        alone = _alone(measure, load)
        if alone.stopped:
            note = "stopped before the search began"
            return Stages(stages=(alone.stage,), notes=(note,), stopped=True)
        start = _per_s(alone.stage)
    return search(measure, load, Search(start=start), slo.share)


ALONE = 4
"""Requests of one user, to learn where a search begins."""

BEYOND = 1000
"""No search has so many loads: what that user asks is asked in none of them."""


def _alone(measure: Measure, load: Load) -> Measured:
    alone = replace(load, kind="closed", concurrency=1, duration_s=None, requests=ALONE)
    return measure(afresh(alone, BEYOND), name="one user, for a rate to begin at")


def _per_s(alone: Stage) -> float:
    if alone.numbers.e2e_ms is None or not alone.numbers.e2e_ms.mean:
        raise BenchError(
            f"none of {ALONE} single requests was answered: {dict(alone.numbers.errors)}",
            hint="look at the server's log",
        )
    return 1000 / alone.numbers.e2e_ms.mean


_Performer = Callable[[Profile, Measure, Slo | None], Stages]
_PERFORMERS: Mapping[Kind, _Performer] = {
    "closed": _each,
    "constant": _each,
    "poisson": _each,
    "gamma": _each,
    "ramp": _each,
    "replay": _each,
    "sweep": _sweep,
    "goodput": _goodput,
}
KINDS: tuple[Kind, ...] = tuple(_PERFORMERS)
