"""The seam: what every platform can be asked to do with a release."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import Change, Files, Resources
from pilotlight.deploy.violation import Violation

State = Literal["absent", "updating", "ready", "failed"]

Report = Callable[[str], None]
"""Told each step in words as it is taken, such as ``created function chat``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the platform says of a release now."""

    state: State
    url: str | None = None
    """Where it answers; what `deploy bench` measures."""

    instances: int | None = None
    """Running now; None where the platform doesn't say."""

    image: str | None = None
    detail: str = ""
    """Why it failed or what it waits for, in the platform's words."""

    facts: tuple[tuple[str, str], ...] = field(default=())
    """Whatever else is worth a line: revision, memory, standby."""


class Target(Protocol):
    """One platform. `check`, `render` and `wanted` are pure; the others talk to it and block.

    Those raise DeployError for what the platform refused, with its words and the next step, and
    ConfigError where its client or credentials are missing. None of them prints.
    """

    @property
    def name(self) -> str:
        """As on the command line: ``lambda``."""
        ...

    @property
    def title(self) -> str:
        """For people: ``AWS Lambda``."""
        ...

    @property
    def options(self) -> type[Any]:
        """The dataclass of its own settings; a subclass of `deploy.settings.Common`."""
        ...

    def platform(self, release: Release[Any]) -> str:
        """The row of the catalog's platforms whose rule the bill follows."""
        ...

    def check(self, release: Release[Any]) -> Sequence[Violation]:
        """Every limit that it breaks."""
        ...

    def render(self, release: Release[Any]) -> Files:
        """The files with which somebody could put it up without us."""
        ...

    def wanted(self, release: Release[Any]) -> Resources:
        """What `apply` is to bring about."""
        ...

    def live(self, release: Release[Any]) -> Resources:
        """What is there of it now, `wanted`'s fields only; empty where there is nothing."""
        ...

    def apply(self, release: Release[Any], todo: Sequence[Change], report: Report) -> Status:
        """Bring `todo` about, in order; returns once it is ready.

        After a failure what this call created is gone again, and what it changed is as before.
        """
        ...

    def status(self, release: Release[Any]) -> Status: ...

    def logs(self, release: Release[Any], *, since_s: float, follow: bool) -> Iterator[str]:
        """Lines of the last `since_s` seconds; with `follow`, then new ones until interrupted."""
        ...

    def cool(self, release: Release[Any], report: Report) -> None:
        """Have the next request meet no running instance, so that a cold start can be measured."""
        ...

    def delete(self, release: Release[Any], report: Report) -> None:
        """Remove all of it, whatever state it is in; nothing there is no error."""
        ...
