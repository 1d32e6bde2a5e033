"""All that was tried so far, and what may still be: the memory of a search."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from pilotlight.errors import BenchError
from pilotlight.quantities import show_seconds
from pilotlight.tune.goal import Goal
from pilotlight.tune.noise import relative_noise
from pilotlight.tune.setting import Setting
from pilotlight.tune.trial import Outcome, Purpose, Trial, Tried

T = TypeVar("T")
Steps = Generator[Trial, Outcome, T]
"""A part of the search: it asks for trials, is sent their outcomes, and ends with its finding."""

_FIRST_OVERHEAD_S = 5.0
_FRESH = 4
"""Trials ago."""

_FEWEST_REQUESTS = 6


class BudgetSpentError(Exception):
    """Never leaves the search: what is left of the budget belongs to the duel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long all of it may take, and how long each trial looks."""

    total_s: float
    full_s: float
    look_s: float
    rounds: int = 5
    """Of the duel at the end, which the budget is kept for."""

    @classmethod
    def of(cls, total_s: float, full_s: float | None = None) -> Budget:
        """A trial is a sixtieth of the budget, within what is long enough to tell and no longer.

        Raises:
            BenchError: nothing could be tried in so little.
        """
        full_s = full_s or min(60.0, max(6.0, total_s / 60))
        rounds = 5 if total_s >= 40 * (full_s + _FIRST_OVERHEAD_S) else 3
        least_s = (2 * rounds + 2) * (full_s + _FIRST_OVERHEAD_S)
        if total_s < least_s:
            raise BenchError(
                f"a budget of {show_seconds(total_s)} is too small: the last comparison with the "
                f"default alone takes {show_seconds(round(least_s))}",
                hint="give more time with --budget, or shorter trials with --trial",
            )
        return cls(total_s=total_s, full_s=full_s, look_s=full_s / 3, rounds=rounds)


class Book:
    """Pure but for its own growth: the same outcomes in the same order make the same book."""

    def __init__(self, goal: Goal, budget: Budget) -> None:
        self.goal = goal
        self.budget = budget
        self.tried: list[Tried] = []
        self._by_place: dict[tuple[str, float], list[Tried]] = {}

    def look(
        self, setting: Setting, level: float, seconds: float, purpose: Purpose
    ) -> Steps[float]:
        """The merit after at least `seconds` in all; what was measured before counts.

        Raises:
            BudgetSpentError: another trial would eat into what the duel needs.
        """
        done = self.trials(setting, level)
        missing = seconds - sum(tried.trial.seconds for tried in done)
        if any(tried.outcome.failed for tried in done) or missing <= 0:
            return self.merit(setting, level)
        yield from self._measure_more(setting, level, max(missing, self.budget.look_s), purpose)
        return self.merit(setting, level)

    def again(self, setting: Setting, level: float) -> Steps[None]:
        """Another short look, unless the last one at it is fresh."""
        fresh = self.tried[-_FRESH:]
        place = (setting.key, level)
        if any((tried.trial.setting.key, tried.trial.level) == place for tried in fresh):
            return
        if self.merit(setting, level) > 0:
            yield from self._measure_more(setting, level, self.budget.look_s, "again")

    def _measure_more(
        self, setting: Setting, level: float, seconds: float, purpose: Purpose
    ) -> Steps[None]:
        """A rate so low that hardly anybody comes is watched for longer."""
        if self.goal.levels == "rate":
            seconds = max(seconds, _FEWEST_REQUESTS / level)
        yield from self.measure(
            Trial(
                setting=setting,
                level=level,
                seconds=seconds,
                purpose=purpose,
                round=len(self.trials(setting, level)),
            )
        )

    def measure(self, trial: Trial) -> Steps[Outcome]:
        """Raises BudgetSpentError like `look`, but for the duel's own."""
        if trial.purpose != "duel" and not self.affords(trial.seconds):
            raise BudgetSpentError
        outcome = yield trial
        tried = Tried(trial, outcome)
        self.tried.append(tried)
        self._by_place.setdefault((trial.setting.key, trial.level), []).append(tried)
        return outcome

    def affords(self, seconds: float) -> bool:
        return self.left_s - seconds - self.overhead_s >= self.reserve_s

    def affords_round(self) -> bool:
        """Another of the duel: both sides once more."""
        return self.left_s >= 2 * (self.budget.full_s + self.overhead_s)

    @property
    def left_s(self) -> float:
        return self.budget.total_s - sum(tried.outcome.wall_s for tried in self.tried)

    @property
    def overhead_s(self) -> float:
        """Of a typical trial, besides what it measures."""
        extra = [max(0.0, tried.outcome.wall_s - tried.trial.seconds) for tried in self.tried]
        return median(extra) if extra else _FIRST_OVERHEAD_S

    @property
    def reserve_s(self) -> float:
        """For the duel; half of the budget at most, for without a search it has nothing to judge.
        Then it has fewer rounds, or the budget is overrun by the fewest there must be."""
        duel_s = 2 * self.budget.rounds * (self.budget.full_s + self.overhead_s)
        return min(duel_s, self.budget.total_s / 2)

    def trials(self, setting: Setting, level: float) -> list[Tried]:
        """Of this setting at this load; those of a duel are evidence of their own."""
        found = self._by_place.get((setting.key, level), [])
        return [tried for tried in found if tried.trial.purpose != "duel"]

    def passes(self, setting: Setting, level: float) -> bool:
        """Whether all its trials together carried the load."""
        found = [tried.outcome for tried in self.trials(setting, level)]
        requests = sum(outcome.requests for outcome in found)
        if not requests or any(outcome.failed for outcome in found):
            return False
        met = sum(outcome.met_share * outcome.requests for outcome in found)
        return met / requests >= self.goal.share

    def merit(self, setting: Setting, level: float) -> float:
        """Mean over its trials, weighted by how long they looked; one that failed has none."""
        found = self.trials(setting, level)
        if not found or any(tried.outcome.failed for tried in found):
            return 0.0
        total_s = sum(tried.trial.seconds for tried in found)
        return (
            sum(self.goal.merit(tried.outcome) * tried.trial.seconds for tried in found) / total_s
        )

    def better(self, one: Setting, other: Setting, level: float) -> bool:
        """By more than chance would often have it."""
        margin = self._doubt(one, other, level)
        return self.merit(one, level) > self.merit(other, level) * (1 + margin)

    def clearly_worse(self, one: Setting, other: Setting, level: float) -> bool:
        """So much that a longer look would hardly turn it."""
        margin = 2 * self._doubt(one, other, level)
        return self.merit(one, level) < self.merit(other, level) * (1 - min(margin, 0.9))

    def _doubt(self, one: Setting, other: Setting, level: float) -> float:
        """Relative standard deviation of the ratio of two merits."""
        noise = relative_noise(self._repeats(), self.budget.full_s)
        seconds = (self._seconds(one, level), self._seconds(other, level))
        return noise * math.sqrt(sum(self.budget.full_s / each for each in seconds))

    def _seconds(self, setting: Setting, level: float) -> float:
        looked = sum(tried.trial.seconds for tried in self.trials(setting, level))
        return looked or self.budget.look_s

    def _repeats(self) -> list[list[tuple[float, float]]]:
        return [
            [(tried.trial.seconds, self.goal.merit(tried.outcome)) for tried in found]
            for found in self._by_place.values()
        ]
