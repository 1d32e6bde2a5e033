"""A sweep: from one user up, doubling, until more users bring no more throughput."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """Where a sweep begins and what ends it."""

    first: int = 1
    most: int = 256
    factor: int = 2
    growth: float = 0.05
    """What a step has to add to the best so far, as a share of it."""

    patience: int = 2
    """Steps in a row that may add less: one noisy step isn't the end."""


@dataclass(frozen=True, slots=True)
class Step:
    """What `users` at once got, in tokens a second, or in answers where a server doesn't count
    tokens; None where nobody was answered."""

    users: int
    throughput: float | None


def next_users(steps: Sequence[Step], climb: Climb) -> int | None:
    """The next number of users at once; None at saturation or at the bound."""
    if not steps:
        return climb.first
    last = steps[-1]
    if last.throughput is None or last.users >= climb.most or _saturated(steps, climb):
        return None
    return min(last.users * climb.factor, climb.most)


def _saturated(steps: Sequence[Step], climb: Climb) -> bool:
    best, poor = 0.0, 0
    for step in steps:
        throughput = step.throughput or 0.0
        poor = 0 if throughput > best * (1 + climb.growth) else poor + 1
        best = max(best, throughput)
    return poor >= climb.patience


def best(steps: Sequence[Step], growth: float = 0.05) -> int:
    """The fewest users whose throughput is within `growth` of the best: index into `steps`.

    More users than that only wait longer.
    """
    most = max((step.throughput or 0.0 for step in steps), default=0.0)
    return next(
        (at for at, step in enumerate(steps) if (step.throughput or 0.0) >= most * (1 - growth)), 0
    )
