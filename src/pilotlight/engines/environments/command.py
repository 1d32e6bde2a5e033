"""One step's program as a child process, its output followed line by line."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_TAIL_LINES = 200
_GRACE_S = 5.0

# Of the caller's environment: what would bend a Python or a pip towards another place.
_BENDING = (
    "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX",
    "PIP_USER", "PIP_ROOT", "PIP_CONSTRAINT", "PIP_REQUIREMENT", "PIP_PYTHON", "PIP_NO_DEPS",
    "PIP_REQUIRE_HASHES", "PIP_NO_BINARY", "PIP_ONLY_BINARY",
)  # fmt: skip


def environment(environ: Mapping[str, str], cache: Path) -> dict[str, str]:
    """`environ` for a step: which index pip asks stays the user's choice."""
    kept = {name: value for name, value in environ.items() if name not in _BENDING}
    return kept | {
        "LC_ALL": "C.UTF-8",  # messages are read
        "PIP_CACHE_DIR": str(cache),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def run(
    argv: Sequence[str],
    env: Mapping[str, str],
    log: Path,
    lock: int,
    hear: Callable[[str], None],
) -> tuple[int, list[str]]:
    """Exit code and last lines of `argv`; `hear` gets each line, `log` all of them.

    The child inherits the descriptor of the install's `lock`: should this process be
    killed, the lock is held until the child has ended too, and no second install meets it.
    """
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(argv)}\n")
        file.flush()
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            pass_fds=(lock,),
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                file.write(line)
                tail.append(line.rstrip())
                hear(line.rstrip())
            return process.wait(), list(tail)
        finally:
            _end(process)
            process.stdout.close()


def _end(process: subprocess.Popen[str]) -> None:
    """Whatever of its group still runs when nobody listens any more."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
