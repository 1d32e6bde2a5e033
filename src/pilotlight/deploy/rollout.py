"""The verbs, the same for every target: checked first, then only what differs is changed."""

from __future__ import annotations

from typing import Any

from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import Change, Files, changes
from pilotlight.deploy.target import Report, Status, Target
from pilotlight.deploy.violation import refuse


def rendered(target: Target, release: Release[Any]) -> Files:
    """Raises DeployLimitError: it asks for more than the platform allows."""
    _check(target, release)
    return target.render(release)


def pending(target: Target, release: Release[Any]) -> tuple[Change, ...]:
    """What an `apply` would do now; asks the platform and changes nothing.

    Raises:
        DeployLimitError: it asks for more than the platform allows; nothing was asked of it.
        DeployError, ConfigError: the platform can't be asked.
    """
    _check(target, release)
    return tuple(changes(target.live(release), target.wanted(release)))


def put_up(target: Target, release: Release[Any], report: Report) -> Status:
    """Brings it about, and blocks until it is ready. Doing it again changes nothing.

    Raises:
        As `pending`; DeployError also where the platform refuses a change, and then what this
        created is gone again.
    """
    todo = pending(target, release)
    if not todo:
        report("nothing to change")
        return target.status(release)
    report(f"{len(todo)} to change: {', '.join(f'{each.action} {each.name}' for each in todo)}")
    return target.apply(release, todo, report)


def take_down(target: Target, release: Release[Any], report: Report) -> None:
    """Whatever state it is in; nothing there is no error."""
    target.delete(release, report)


def _check(target: Target, release: Release[Any]) -> None:
    refuse(target.title, target.check(release))
