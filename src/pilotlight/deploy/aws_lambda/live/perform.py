"""Changes brought about one by one, and taken back when one of them fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pilotlight.deploy.aws_lambda.live.aws import in_our_words
from pilotlight.deploy.aws_lambda.live.kind import Kind
from pilotlight.deploy.resources import Change
from pilotlight.deploy.target import Report
from pilotlight.errors import DeployError, PilotlightError

_DONE = {"create": "created", "update": "updated", "delete": "deleted"}


def perform(kinds: Mapping[str, Kind], todo: Sequence[Change], report: Report) -> None:
    """Raises what went wrong, once all is as it was before.

    DeployError names what couldn't be taken back, if anything.
    """
    begun: list[Change] = []
    try:
        for change in todo:
            # Noted before it is tried: a call that failed may yet have taken effect.
            begun.append(change)
            with in_our_words():
                _bring_about(kinds[change.name], change)
            report(f"{_DONE[change.action]} {change.name}")
    except BaseException as failure:
        report(f"taking back {len(begun)} of {len(todo)} changes")
        left = [problem for change in reversed(begun) if (problem := _undo(kinds, change))]
        if left:
            raise DeployError(
                "\n  ".join([f"{failure}", "and these are not as they were:", *left]),
                hint="run `pilotlight deploy diff lambda`, then apply or delete once more",
            ) from failure
        raise


def _bring_about(kind: Kind, change: Change) -> None:
    if change.after is None:
        kind.remove()
    else:
        kind.put(change.after)


def _undo(kinds: Mapping[str, Kind], change: Change) -> str | None:
    """What is left to do by hand; None when all is as before."""
    kind = kinds[change.name]
    try:
        with in_our_words():
            if change.before is None:
                kind.remove()
            else:
                kind.put(change.before)
    except PilotlightError as error:
        return f"{change.name}: {error.message}"
    return None
