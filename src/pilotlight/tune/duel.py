"""The last word: the best found against the default, in turns, on measurements of their own.

What won a search won it partly by luck; so none of the search's own trials count here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from pilotlight.metrics import Spread
from pilotlight.tune.book import Book, Steps
from pilotlight.tune.setting import Setting
from pilotlight.tune.trial import Outcome, Trial

STUDENT_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306}
"""Two-sided 95 % points of Student's t by degrees of freedom."""

FEWEST_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two, at the load it is best at."""

    setting: Setting
    level: float
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """All rounds; `ratio` is the best's score over the default's, with its 95 % interval."""

    default: Side
    best: Side
    ratio: Spread | None
    """None where the default scored nothing, or too few rounds were fought."""

    won: bool


def duel(default: Side, best: Side, book: Book) -> Steps[Duel]:
    """Both in turns, the order swapped each round, so that a drift hits both alike."""
    fought: dict[str, list[Outcome]] = {default.setting.key: [], best.setting.key: []}
    for number in range(book.budget.rounds):
        if number >= FEWEST_ROUNDS and not book.affords_round():
            break
        for side in (default, best) if number % 2 == 0 else (best, default):
            trial = Trial(
                setting=side.setting, level=side.level, seconds=book.budget.full_s,
                purpose="duel", round=number,
            )  # fmt: skip
            fought[side.setting.key].append((yield from book.measure(trial)))
    defaults, bests = fought[default.setting.key], fought[best.setting.key]
    return Duel(
        default=Side(setting=default.setting, level=default.level, outcomes=tuple(defaults)),
        best=Side(setting=best.setting, level=best.level, outcomes=tuple(bests)),
        ratio=ratio([book.goal.score(each) for each in bests],
                    [book.goal.score(each) for each in defaults]),
        won=_won(defaults, bests, book),
    )  # fmt: skip


def ratio(ones: Sequence[float], others: Sequence[float]) -> Spread | None:
    """Geometric mean of `ones` over `others`, pair by pair, with its 95 % interval."""
    if len(ones) < 2 or min(*ones, *others) <= 0:
        return None
    logs = [math.log(one / other) for one, other in zip(ones, others, strict=True)]
    reach = STUDENT_95[min(len(logs) - 1, max(STUDENT_95))] * stdev(logs) / math.sqrt(len(logs))
    return Spread(*(math.exp(fmean(logs) + step) for step in (0.0, -reach, reach)))


def _won(defaults: Sequence[Outcome], bests: Sequence[Outcome], book: Book) -> bool:
    """Nothing is written that might be worse than the default."""
    scores = [book.goal.score(each) for each in bests]
    old = [book.goal.score(each) for each in defaults]
    if min(scores) <= 0 or not _keeps(defaults, bests, book):
        return False
    found = ratio(scores, old)
    return min(scores) > max(old) if found is None else found.low > 1


def _keeps(defaults: Sequence[Outcome], bests: Sequence[Outcome], book: Book) -> bool:
    """Where the load was searched for, it must be carried; one that was asked for is what it is."""
    if book.goal.level is not None:
        return True
    share = fmean(each.met_share for each in bests)
    return share >= min(book.goal.share, fmean(each.met_share for each in defaults))
