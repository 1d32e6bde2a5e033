"""One install or removal of an engine at a time on this disk."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_FILE = ".lock"


@contextmanager
def exclusive(home: Path, waiting: Callable[[], None]) -> Iterator[int]:
    """Hold the lock of the engine at `home`; `waiting` is called once if another holds it.

    Yields its descriptor. The kernel releases it when the last process that has it ends.
    """
    home.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(home / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
