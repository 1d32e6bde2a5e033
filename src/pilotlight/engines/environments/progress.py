"""How far an install is, read from what pip and ninja print."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from pilotlight.engines.environments.plan import Step


@dataclass(frozen=True, slots=True)
class Progress:
    """One moment of an install; what nobody has said is None."""

    step: str
    number: int
    steps: int
    item: str | None = None
    """The package or file worked on now."""

    done: int | None = None
    total: int | None = None
    """Items of this step; a package counts from when its turn begins."""

    item_bytes: int | None = None
    item_total_bytes: int | None = None


Report = Callable[[Progress], None]

_COLLECTING = re.compile(r"\s*(?:Collecting ([\w.-]+)|Processing \S*/(\w+)-\S+\.whl)")
_UNPACKING = re.compile(r"Installing (collected packages)")
_SKIPPED = re.compile(r"\s*Ignoring [\w.-]+: markers")
_BYTES = re.compile(r"\s*Progress (\d+) of (\d+)")
_EDGE = re.compile(r"\[(\d+)/(\d+)\] (?:.* )?(\S+)$")


class Tracker:
    """Follows one step's output, line by line."""

    def __init__(self, step: Step, number: int, steps: int) -> None:
        self.progress = Progress(step.name, number, steps, total=step.items)

    def read(self, line: str) -> bool:
        """Whether the line says something new."""
        for pattern, take in (
            (_BYTES, self._bytes),
            (_EDGE, self._edge),
            (_COLLECTING, self._collecting),
            (_UNPACKING, self._unpacking),
            (_SKIPPED, self._skipped),
        ):
            if match := pattern.match(line):
                take(match)
                return True
        return False

    def _bytes(self, match: re.Match[str]) -> None:
        done, total = int(match[1]), int(match[2])
        self.progress = replace(self.progress, item_bytes=done, item_total_bytes=total or None)

    def _edge(self, match: re.Match[str]) -> None:
        done, total = int(match[1]), int(match[2])
        name = match[3].rpartition("/")[2]
        self.progress = replace(self.progress, done=done, total=total, item=name)

    def _collecting(self, match: re.Match[str]) -> None:
        done = (self.progress.done or 0) + 1
        self.progress = replace(
            self.progress,
            done=done,
            item=match[1] or match[2],
            item_bytes=None,
            item_total_bytes=None,
        )

    def _unpacking(self, match: re.Match[str]) -> None:
        """The longest part, in which pip says nothing."""
        self.progress = replace(self.progress, item=match[1], item_bytes=None)

    def _skipped(self, match: re.Match[str]) -> None:
        """A package of the lock that this Python or processor doesn't take."""
        if self.progress.total:
            self.progress = replace(self.progress, total=self.progress.total - 1)
