"""Changes brought about one by one, and taken back in reverse when one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pilotlight.deploy.resources import Action, Change
from pilotlight.deploy.target import Report
from pilotlight.errors import DeployError, PilotlightError

Do = Callable[[Change], None]
"""Brings one change about, whole, and returns once it is; idempotent."""

_OPPOSITE: Mapping[Action, Action] = {
    "create": "delete",
    "update": "update",
    "delete": "create",
}
_DONE: Mapping[Action, str] = {"create": "created", "update": "updated", "delete": "deleted"}


def perform(todo: Sequence[Change], do: Do, report: Report) -> None:
    """All of `todo` in order, or none of it: also what was interrupted midway is taken back.

    A change that failed may be there in part, so it is taken back too.

    Raises:
        DeployError: what `do` raised, with what couldn't be taken back, if anything.
    """
    begun: list[Change] = []
    try:
        for change in todo:
            begun.append(change)
            do(change)
            report(f"{_DONE[change.action]} {change.name}")
    except BaseException as error:
        left = _take_back(begun, do, report)
        if left and isinstance(error, PilotlightError):
            raise DeployError(
                f"{error.message}; and this couldn't be taken back: {', '.join(left)}",
                hint="look at it there, then run the same command again",
            ) from error
        raise


def inverse(change: Change) -> Change:
    """What undoes it."""
    return Change(_OPPOSITE[change.action], change.name, before=change.after, after=change.before)


def _take_back(begun: Sequence[Change], do: Do, report: Report) -> list[str]:
    """The last first; names of those that couldn't be. Stopped once more, it says what stays."""
    left, waiting = list[str](), list(begun)
    try:
        while waiting:
            if not _taken_back(waiting[-1], do, report):
                left.append(waiting[-1].name)
            waiting.pop()
    except BaseException:
        stays = [*left, *(change.name for change in reversed(waiting))]
        report(f"stopped; not taken back: {', '.join(stays)}")
        raise
    return left


def _taken_back(change: Change, do: Do, report: Report) -> bool:
    """Goes on whatever happens: the next one may still be taken back."""
    try:
        do(inverse(change))
    except Exception as error:  # also a client's own: those before it would stay
        words = error.message if isinstance(error, PilotlightError) else repr(error)
        report(f"couldn't take back {change.name}: {words}")
        return False
    report(f"took back {change.name}")
    return True
