"""A limit of the platform's that a release breaks, found before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilotlight.errors import DeployLimitError


@dataclass(frozen=True, slots=True)
class Violation:
    limit: str
    """The platform's own name for it and its source, such as ``memory at most 10240 MB``."""

    value: str
    """What the release has."""

    fix: str
    """What to change: the key and a value that would do."""

    def __str__(self) -> str:
        return f"{self.limit}; this has {self.value}: {self.fix}"


def refuse(target: str, found: Sequence[Violation]) -> None:
    """Raises DeployLimitError naming all of them, if there are any."""
    if found:
        raise DeployLimitError(
            "\n  ".join([f"{target} allows less than this asks:", *map(str, found)]),
            hint="nothing was sent; change these and run it again",
        )
