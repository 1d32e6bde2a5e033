"""Machines that are formulas: what a setting does under a load is known, and so is the best one."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pilotlight.tune.book import Budget
from pilotlight.tune.goal import Goal
from pilotlight.tune.search import Verdict, search
from pilotlight.tune.setting import Setting
from pilotlight.tune.space import Axis, Space, single
from pilotlight.tune.trial import Outcome, Trial

T = TypeVar("T")

SLOTS = (1, 2, 4, 8, 16, 32, 64, 128)
BATCHES = (64, 128, 256, 512, 1024, 2048)
KINDS = ("plain", "fast", "broken")


def kinds() -> Axis:
    return single("kind", KINDS, "plain", ordered=False)


def space(*, starts: tuple[Setting, ...] = (), slots: int = 4, batch: int = 512) -> Space:
    axes = (single("slots", SLOTS, slots), single("batch", BATCHES, batch), kinds())
    return Space(default=Setting(ref="m"), starts=starts, axes={"llamacpp": axes})


Capacity = Callable[[Mapping[str, Any]], float]
"""Requests/s that a setting with these options carries; 0 where it doesn't start."""


def hill(slots: float, batch: float, *, steep: float = 0.3, base: float = 10.0) -> Capacity:
    """One summit, in the logarithms of both."""

    def capacity(options: Mapping[str, Any]) -> float:
        kind = options.get("kind", "plain")
        if kind == "broken":
            return 0.0
        away = abs(math.log2(options.get("slots", 4) / slots))
        away += abs(math.log2(options.get("batch", 512) / batch))
        return base * math.exp(-steep * away) * (1.2 if kind == "fast" else 1.0)

    return capacity


@dataclass
class Surface:
    """Answers trials. Beyond its capacity a setting still answers, but too late for most."""

    capacity: Capacity
    goal: Goal
    noise: float = 0.0
    drift_per_trial: float = 0.0
    start_s: float = 2.0
    random: random.Random = field(default_factory=lambda: random.Random(1))
    asked: list[Trial] = field(default_factory=list)

    def __call__(self, trial: Trial) -> Outcome:
        self.asked.append(trial)
        wall_s = trial.seconds + self.start_s
        able = self.capacity(trial.setting.options)
        if able <= 0:
            return Outcome(wall_s=self.start_s, failed="it didn't start")
        able *= math.exp(self.random.gauss(0, self.noise)) if self.noise else 1.0
        able *= (1 + self.drift_per_trial) ** len(self.asked)
        offered = trial.level if self.goal.levels == "rate" else able
        share = min(1.0, (able / offered) ** 2)
        good = min(offered, able) * share
        return Outcome(
            wall_s=wall_s,
            requests=max(20, round(offered * trial.seconds)),
            met_share=share,
            goodput_per_s=good,
            good_output_tokens_per_s=good * 50,
            output_tokens_per_s=able * 50,
            total_tokens_per_s=able * 80,
        )


def drive(steps: Generator[Trial, Outcome, T], answer: Callable[[Trial], Outcome]) -> T:
    """A search from its first trial to its end."""
    try:
        trial = next(steps)
        while True:
            trial = steps.send(answer(trial))
    except StopIteration as stop:
        finding: T = stop.value
        return finding


USERS = Goal(levels="users", level=16)
BUDGET = Budget(total_s=100_000, full_s=15, look_s=5)


def tuned(
    capacity: Capacity, *, goal: Goal = USERS, budget: Budget = BUDGET, where: Space | None = None,
    **surface: Any,
) -> tuple[Verdict, Surface]:  # fmt: skip
    machine = Surface(capacity, goal, **surface)
    return drive(search(where or space(), goal, budget), machine), machine
