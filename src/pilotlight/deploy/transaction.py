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
        left = [change.name for change in reversed(begun) if not _taken_back(change, do, report)]
        if left and isinstance(error, PilotlightError):
            raise DeployError(
                f"{error.message}; and this couldn't be taken back: {', '.join(left)}",
                hint="look at it there, then run the same command again",
            ) from error
        raise


def inverse(change: Change) -> Change:
    """What undoes it."""
    return Change(_OPPOSITE[change.action], change.name, before=change.after, after=change.before)


def _taken_back(change: Change, do: Do, report: Report) -> bool:
    """Goes on whatever happens: the next one may still be taken back."""
    try:
        do(inverse(change))
    except PilotlightError as error:
        report(f"couldn't take back {change.name}: {error.message}")
        return False
    report(f"took back {change.name}")
    return True
