"""A search carried out: the trials it asks for are taken from the evidence, else performed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pilotlight.tune.book import Steps
from pilotlight.tune.search import Verdict
from pilotlight.tune.trial import Outcome, Trial, Tried

Perform = Callable[[Trial], Outcome]
Keep = Callable[[Tried, bool], None]
"""Told of each trial, and whether it is from an earlier session."""


def carry_out(
    steps: Steps[Verdict], before: Sequence[Tried], perform: Perform, keep: Keep
) -> Verdict:
    """Blocks for as long as the search takes.

    An earlier trial counts once, for an equal one; their order doesn't matter, so that evidence
    also serves a search that goes another way.
    """
    known = list(before)
    try:
        trial = next(steps)
        while True:
            tried = _taken(known, trial)
            outcome = tried.outcome if tried else perform(trial)
            keep(Tried(trial, outcome), tried is not None)
            trial = steps.send(outcome)
    except StopIteration as stop:
        verdict: Verdict = stop.value
        return verdict


def _taken(known: list[Tried], trial: Trial) -> Tried | None:
    for index, tried in enumerate(known):
        if _same(tried.trial, trial):
            return known.pop(index)
    return None


def _same(one: Trial, other: Trial) -> bool:
    return one.setting.key == other.setting.key and (
        one.level,
        one.seconds,
        one.purpose,
        one.round,
    ) == (other.level, other.seconds, other.purpose, other.round)
