"""The search for the best setting: which trial is next, given what all before it measured.

`search` is a generator that performs nothing: it yields trials and is sent their outcomes. The
same outcomes in the same order ask for the same trials, so a search that was broken off goes on by
being sent what it measured before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pilotlight.tune.book import Book, Budget, BudgetSpentError, Steps
from pilotlight.tune.climb import along
from pilotlight.tune.duel import Duel, Side, duel
from pilotlight.tune.goal import Goal, LevelKind
from pilotlight.tune.peak import peak
from pilotlight.tune.setting import Setting
from pilotlight.tune.space import Axis, Space
from pilotlight.tune.starts import best_start

FIRST_LEVEL: Mapping[LevelKind, float] = {"users": 4.0, "rate": 1.0}
MOST_SWEEPS = 3

End = Literal["nothing better is near", "the budget is spent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`chosen` is what to serve: the default unless the duel was won."""

    chosen: Setting
    level: float
    duel: Duel | None
    """None where the search found nothing that looked better than the default."""

    end: End
    changes_answers: tuple[str, ...] = ()
    """What about the choice may change more than the speed."""


@dataclass(slots=True)
class _Course:
    """Where the search stands; kept outside of it, for when the budget ends it midway."""

    best: Setting
    level: float
    default_level: float
    end: End = "nothing better is near"


def search(space: Space, goal: Goal, budget: Budget) -> Steps[Verdict]:
    """From the default to a verdict, within the budget."""
    book = Book(goal, budget)
    level = goal.level or FIRST_LEVEL[goal.levels]
    course = _Course(best=space.default, level=level, default_level=level)
    try:
        yield from _explore(space, course, book)
    except BudgetSpentError:
        course.end = "the budget is spent"
    return (yield from _judge(space, course, book))


def _explore(space: Space, course: _Course, book: Book) -> Steps[None]:
    yield from _find_level(space.default, course, book)
    course.default_level = course.level
    yield from book.look(space.default, course.level, book.budget.full_s, "start")
    starts = (space.default, *space.starts)
    course.best = yield from best_start(starts, _stress(course, book), book)
    for _ in range(MOST_SWEEPS):
        before = course.best
        yield from _sweep(space, course, book)
        if course.best.key == before.key:
            return
    yield from _find_level(course.best, course, book)


def _sweep(space: Space, course: _Course, book: Book) -> Steps[None]:
    """Every axis in turn, at a load that tells settings apart."""
    if course.best.key != space.default.key:
        yield from _find_level(course.best, course, book)
    for axis in space.axes_of(course.best):
        while (yield from _move(axis, course, book)):
            pass


def _move(axis: Axis, course: _Course, book: Book) -> Steps[bool]:
    """Whether the axis is worth another go: the load it was climbed at told no more apart."""
    before, level = course.best, _stress(course, book)
    yield from book.look(course.best, level, book.budget.look_s, "look")
    course.best = yield from along(axis, course.best, level, book)
    if book.goal.level is not None or not book.passes(course.best, level):
        return False
    yield from _find_level(course.best, course, book)
    return course.best.key != before.key


def _find_level(setting: Setting, course: _Course, book: Book) -> Steps[None]:
    if book.goal.level is None:
        course.level = yield from peak(setting, course.level, book)


def _stress(course: _Course, book: Book) -> float:
    """Where the load is searched for, a little more than the best so far carries: below that all
    settings that carry it score alike."""
    if book.goal.level is not None:
        return course.level
    more = course.level * 1.5
    return float(round(more + 0.5)) if book.goal.levels == "users" else more


def _judge(space: Space, course: _Course, book: Book) -> Steps[Verdict]:
    default = space.default
    if course.best.key == default.key:
        return Verdict(chosen=default, level=course.level, duel=None, end=course.end)
    fought = yield from duel(
        Side(setting=default, level=course.default_level),
        Side(setting=course.best, level=course.level),
        book,
    )
    winner = fought.best if fought.won else fought.default
    return Verdict(
        chosen=winner.setting,
        level=winner.level,
        duel=fought,
        end=course.end,
        changes_answers=tuple(space.other_answers(winner.setting)),
    )
