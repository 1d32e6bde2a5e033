"""One axis while all others stay: climbed where it has an order, tried out where it has none."""

from __future__ import annotations

from pilotlight.tune.book import Book, Steps
from pilotlight.tune.setting import Setting
from pilotlight.tune.space import Axis


def along(axis: Axis, best: Setting, level: float, book: Book) -> Steps[Setting]:
    """The best setting of `axis` around `best`; that itself unless another is better."""
    # Measured again each time, so that a machine that became slower since doesn't look like a gain.
    yield from book.again(best, level)
    if axis.ordered:
        found = yield from _climb(axis, best, level, book)
        return (yield from _halve(axis, found, level, book))
    for value in axis.values:
        best = yield from challenge(best, axis.moved(best, value), level, book)
    return best


def challenge(best: Setting, other: Setting, level: float, book: Book) -> Steps[Setting]:
    """A short look; only what isn't clearly worse after it is looked at for longer."""
    if other.key == best.key:
        return best
    yield from book.look(other, level, book.budget.look_s, "look")
    if book.clearly_worse(other, best, level):
        return best
    if book.merit(other, level) <= book.merit(best, level):
        return best
    yield from book.look(best, level, book.budget.full_s, "again")
    yield from book.look(other, level, book.budget.full_s, "again")
    return other if book.better(other, best, level) else best


def _climb(axis: Axis, best: Setting, level: float, book: Book) -> Steps[Setting]:
    """Upwards as long as it gets better; downwards if the first step up wasn't."""
    here = axis.read(best)
    for values in (
        sorted(value for value in axis.values if value > here),
        sorted((value for value in axis.values if value < here), reverse=True),
    ):
        found = best
        for value in values:
            higher = yield from challenge(found, axis.moved(found, value), level, book)
            if higher.key == found.key:
                break
            found = higher
        if found.key != best.key:
            return found
    return best


def _halve(axis: Axis, best: Setting, level: float, book: Book) -> Steps[Setting]:
    """Between the summit and what was tried next to it."""
    known = sorted({*axis.values, axis.read(best)})
    while True:
        at = known.index(axis.read(best))
        below = known[at - 1] if at else None
        above = known[at + 1] if at + 1 < len(known) else None
        middles = [
            value
            for value in (_between(axis.read(best), above), _between(below, axis.read(best)))
            if value is not None and value not in known
        ]
        moved = best
        for value in middles:
            known = sorted({*known, value})
            moved = yield from challenge(best, axis.moved(best, value), level, book)
            if moved.key != best.key:
                break
        if moved.key == best.key:
            return best
        best = moved


_COARSE = 1.25
"""Steps finer than this tell nothing that noise doesn't."""


def _between(low: int | None, high: int | None) -> int | None:
    if low is None or high is None or high <= low * _COARSE:
        return None
    middle = (low + high) // 2
    return middle if low < middle < high else None
