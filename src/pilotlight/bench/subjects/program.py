"""A server run as a child: started apart from the terminal, always stopped, never orphaned."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_STOP_S = 40.0
"""Longer than `drain` lasts by default."""

_LAST_WORDS = 2000


@dataclass(frozen=True, slots=True)
class Program:
    """A running child; its output goes to `log`."""

    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def lives(self) -> bool:
        return self.popen.poll() is None

    def last_words(self) -> str:
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace")[-_LAST_WORDS:].strip()
        return ""


@contextlib.contextmanager
def running(
    argv: Sequence[str], log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[Program]:
    """Blocks on the way out until it ended.

    The kernel ends the child when the thread that came in here ends: enter on one that outlives
    the block.
    """
    with log.open("wb") as sink:
        popen = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env=None if environ is None else dict(environ),
            # Ctrl-C is for us: we stop it, after what was measured is safe.
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
    try:
        yield Program(popen, log)
    finally:
        _stop(popen)


def _stop(popen: subprocess.Popen[bytes]) -> None:
    popen.terminate()
    try:
        popen.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
