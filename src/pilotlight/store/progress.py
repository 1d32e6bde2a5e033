"""What a fetch says of itself while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from pilotlight.core import ModelRef

FetchPhase = Literal["resolve", "download", "verify", "extract"]


@dataclass(frozen=True, slots=True)
class FileProgress:
    """How far one file of a model in several is."""

    name: str
    phase: FetchPhase
    done_bytes: int
    total_bytes: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one ref is; `total_bytes` is None while nobody has said it."""

    ref: ModelRef
    phase: FetchPhase
    done_bytes: int
    total_bytes: int | None
    files: tuple[FileProgress, ...] = ()
    """The parts of the sum above; empty for a model in one file."""


Report = Callable[[Progress], None]

Watch = Callable[[Path, int], None]
"""Called on the event loop with a partial file and how many bytes from its front are verified.

0 says that some of those told before were not the file's: who has read them reads them again.

Of a model that is a directory it is called once: with a directory in which nothing but weights
is missing, and the model's size.
"""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Tells `report`, if there is one, about `ref`. Call it on the event loop only."""

    ref: ModelRef
    report: Report | None

    def say(self, phase: FetchPhase, done_bytes: int, total_bytes: int | None) -> None:
        if self.report is not None:
            self.report(Progress(self.ref, phase, done_bytes, total_bytes))

    def counter(self, phase: FetchPhase, total_bytes: int | None) -> Callable[[int], None]:
        """`say` with everything but the bytes done filled in."""
        return lambda done_bytes: self.say(phase, done_bytes, total_bytes)


class Board:
    """The reports of a model's files, added up. `sizes` are by name, None where unknown."""

    def __init__(self, reporter: Reporter, sizes: Iterable[tuple[str, int | None]]) -> None:
        self._reporter = reporter
        self._rows = {name: FileProgress(name, "download", 0, size) for name, size in sizes}

    def of(self, name: str) -> Reporter:
        """Reports what is said of one file as progress of the whole."""
        if len(self._rows) == 1 or self._reporter.report is None:
            return self._reporter
        return Reporter(self._reporter.ref, partial(self._take, name))

    def _take(self, name: str, progress: Progress) -> None:
        before = self._rows[name]
        total_bytes = progress.total_bytes if before.total_bytes is None else before.total_bytes
        # Past its download a file counts as whole: unpacking or hashing takes nothing back.
        done = progress.done_bytes if progress.phase == "download" else before.done_bytes
        self._rows[name] = replace(
            before, phase=progress.phase, done_bytes=done, total_bytes=total_bytes
        )
        self._tell()

    def here(self, name: str) -> None:
        """`name` needs no download, or is whole."""
        row = self._rows[name]
        done_bytes = row.done_bytes if row.total_bytes is None else row.total_bytes
        self._rows[name] = replace(row, phase="verify", done_bytes=done_bytes)
        if len(self._rows) > 1:
            self._tell()

    def _tell(self) -> None:
        rows = tuple(self._rows.values())
        totals = [row.total_bytes for row in rows]
        total_bytes = None if None in totals else sum(total or 0 for total in totals)
        phases = {row.phase for row in rows}
        phase: FetchPhase = "download" if "download" in phases else rows[0].phase
        done_bytes = sum(row.done_bytes for row in rows)
        if self._reporter.report is not None:
            ref = self._reporter.ref
            self._reporter.report(Progress(ref, phase, done_bytes, total_bytes, rows))
