"""The highest load that one setting carries: doubled until it fails, then halved in between."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pilotlight.tune.book import Book, Steps
from pilotlight.tune.goal import LevelKind
from pilotlight.tune.setting import Setting

LEAST: Mapping[LevelKind, float] = {"users": 1.0, "rate": 1 / 8}
MOST = 4096.0
_FINE = 1.15
"""Levels closer than this aren't told apart."""


def peak(setting: Setting, start: float, book: Book) -> Steps[float]:
    """The level with the most merit among those that pass; where none does, the lowest tried.

    Passing is monotonous: who can't carry a load can't carry a higher one. A closed loop without a
    bound on latency never fails; it is full when more users bring nothing more.
    """
    kind = book.goal.levels
    low, high = yield from _bracket(setting, start, book)
    while low is not None and high is not None and (middle := _middle(low, high, kind)):
        if (yield from _carries(setting, middle, low, book)):
            low = middle
        else:
            high = middle
    tried = [level for level in (low, high) if level is not None]
    return low if low is not None else min(tried)


def _bracket(
    setting: Setting, start: float, book: Book
) -> Steps[tuple[float | None, float | None]]:
    """The highest load known to be carried, and the lowest known not to be."""
    kind, level = book.goal.levels, start
    low: float | None = None
    high: float | None = None
    while LEAST[kind] <= level <= MOST:
        if (yield from _carries(setting, level, low, book)):
            low = level
            if high is not None:
                break
            level *= 2
        else:
            high = level
            if low is not None:
                break
            level = math.floor(level / 2) if kind == "users" else level / 2
    return low, high


def _carries(setting: Setting, level: float, below: float | None, book: Book) -> Steps[bool]:
    yield from book.look(setting, level, book.budget.look_s, "load")
    if not book.passes(setting, level):
        return False
    if below is None or book.goal.levels == "rate":
        return True
    return book.merit(setting, level) > book.merit(setting, below) * (1 + _GROWS)


_GROWS = 0.02


def _middle(low: float, high: float, kind: LevelKind) -> float | None:
    if high <= low * _FINE:
        return None
    if kind == "rate":
        return math.sqrt(low * high)
    middle = float(round((low + high) / 2))
    return middle if low < middle < high else None
