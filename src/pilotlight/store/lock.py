"""Locks between processes, which the kernel releases however their holder ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

_POLL_S = 0.1


@asynccontextmanager
async def exclusive(path: Path, waiting: Callable[[], None]) -> AsyncIterator[bool]:
    """Hold the lock file at `path`; `waiting` is called while somebody else does.

    Yields whether there was a wait. Raises OSError where the file can't be made.
    """
    waited = False
    while (descriptor := take(path, fcntl.LOCK_EX)) is None:
        waited = True
        waiting()
        # Polled, since a thread blocked in flock can't be cancelled.
        await asyncio.sleep(_POLL_S)
    try:
        yield waited
    finally:
        os.close(descriptor)


@contextmanager
def brief(path: Path) -> Iterator[None]:
    """Hold the lock file at `path` for a moment; blocks for as long as others' moments take."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def take(path: Path, kind: int) -> int | None:
    """A descriptor that holds the lock until it is closed; None while another's lock forbids it.

    Its directory is made too. A removed model takes its lock files along, so a lock on a
    file that is no longer at `path` is none, and is taken anew.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:  # the directory went between the two lines above
            continue
        if not _locked(descriptor, kind):
            return None
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)


def join(path: Path) -> int | None:
    """A shared lock on a file that is there; None where it isn't, or is held against it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    if not _locked(descriptor, fcntl.LOCK_SH):
        return None
    if _is_at(descriptor, path):
        return descriptor
    os.close(descriptor)
    return None


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock at `path`, at this moment."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    if not _locked(descriptor, fcntl.LOCK_EX):
        return False
    os.close(descriptor)
    return True


def _locked(descriptor: int, kind: int) -> bool:
    """Closes the descriptor where it isn't."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    except BaseException:
        os.close(descriptor)
        raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
