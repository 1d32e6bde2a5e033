"""What a container's first process inherits: ended processes whose parents went before them.

Nobody waits for those, and each keeps a place in the table of processes. Our own children are left
alone: whoever started one waits for its exit code. They are told apart by their session: a program
that we start has ours, an engine leads its own, and what an engine started is in the engine's.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

INTERVAL_S = 5.0
_PROC = Path("/proc")


def reap_in_background() -> None:
    threading.Thread(target=_reap_for_ever, name="orphans", daemon=True).start()


def _reap_for_ever() -> None:
    while True:
        time.sleep(INTERVAL_S)
        reap()


def reap() -> list[int]:
    """Wait for every orphan that has ended; returns which. Doesn't block."""
    return [pid for pid in list(_orphans(os.getpid(), os.getsid(0))) if _reaped(pid)]


def _orphans(parent: int, session: int) -> Iterator[int]:
    for directory in _PROC.iterdir():
        if directory.name.isdecimal():
            pid = int(directory.name)
            found = _state(directory)
            if found is not None and is_orphan(pid, *found, parent=parent, own_session=session):
                yield pid


def is_orphan(
    pid: int, state: str, its_parent: int, its_session: int, *, parent: int, own_session: int
) -> bool:
    inherited = its_session not in (own_session, pid)
    return its_parent == parent and state == "Z" and inherited


def _state(directory: Path) -> tuple[str, int, int] | None:
    """State, parent and session; None for a process that went meanwhile."""
    try:
        text = (directory / "stat").read_text()
    except OSError:
        return None
    # The name before it may hold anything, also brackets.
    state, parent, _, session = text.rpartition(")")[2].split()[:4]
    return state, int(parent), int(session)


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False
