"""Lines on the disk before anybody is told: what the ledger's own thread then reads into it.

    <directory>/<when>-<pid>-<number>.jsonl    only appended to, by the process that holds its lock

A line is in the page cache when `append` returns, so a process that is killed loses none; a power
cut may lose what the disk wasn't given yet. A segment whose lock is free has no writer any more:
whoever serves next takes it over.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

SEGMENT_BYTES = 4 * 2**20
KEPT_LINES = 100_000
"""Of those that the disk refuses, until it takes them again."""

_SUFFIX = ".jsonl"


class Journal:
    """This process's segments. Used by one thread; blocks for as long as a write to the cache."""

    def __init__(self, directory: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Raises OSError."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._number = 0
        self._refused: deque[bytes] = deque()
        self.lost = 0
        self._file: int | None = None
        self._bytes = 0
        self._begin()

    def append(self, line: bytes) -> None:
        """Never raises: an answer mustn't fail for its account. What is refused is kept."""
        if self._refused:
            self._retry()
        if self._refused or not self._write(line):
            self._keep(line)

    def close(self) -> None:
        """What is appended yet goes into a new segment, for whoever serves next."""
        if self._refused:
            self._retry()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @property
    def refused(self) -> int:
        """Lines that wait for the disk to take them."""
        return len(self._refused)

    def _begin(self) -> int:
        """The file of a new segment."""
        path = self._directory / f"{time.time_ns():020d}-{os.getpid()}-{self._number}{_SUFFIX}"
        unnamed = path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        file = os.open(unnamed, flags, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        os.rename(unnamed, path)  # locked before a reader finds it, who would remove it else
        self._file, self._bytes = file, 0
        self._number += 1
        return file

    def _write(self, line: bytes) -> bool:
        try:
            file = self._file
            if file is None or self._bytes >= self._segment_bytes:
                file = self._next()
            written = os.write(file, line)
            if written < len(line):  # a full disk took a part: half a line is no line
                os.ftruncate(file, self._bytes)
                raise OSError(f"{written} of {len(line)} bytes were written")
        except OSError as error:
            if not self._refused:  # once, not for each line: that would fill the disk all the more
                log.error("the ledger's journal in %s: %s", self._directory, error)
            return False
        self._bytes += len(line)
        return True

    def _next(self) -> int:
        full, file = self._file, self._begin()
        if full is not None:
            os.close(full)  # and with it the lock: its reader may remove it
        return file

    def _keep(self, line: bytes) -> None:
        self._refused.append(line)
        if len(self._refused) > KEPT_LINES:
            self._refused.popleft()
            self.lost += 1

    def _retry(self) -> None:
        while self._refused and self._write(self._refused[0]):
            self._refused.popleft()
        if not self._refused:
            log.warning("the ledger's journal in %s is written again", self._directory)


@dataclass(frozen=True, slots=True)
class Segment:
    """One file as its reader has it open."""

    path: Path
    file: int
    whole: bool
    """Nobody writes to it any more: once it is read it can go."""

    def read(self, offset: int, most_bytes: int) -> bytes:
        """Whole lines from `offset` on. Half a line is one that is being written, or never will."""
        data = os.pread(self.file, most_bytes, offset)
        return data[: data.rfind(b"\n") + 1]

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def names(directory: Path) -> list[Path]:
    """Oldest first."""
    return sorted(directory.glob(f"*{_SUFFIX}"))


@contextmanager
def opened(path: Path) -> Iterator[Segment | None]:
    """To read it. None where another reader has just removed it."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        whole = _lock(file)
        yield Segment(path, file, whole) if path.exists() else None
    finally:
        os.close(file)


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
