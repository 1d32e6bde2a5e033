"""Why a step of an install failed, and what to do: read from the end of its output."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence

from pilotlight.engines.environments.python_engines import CPU_TORCH
from pilotlight.errors import EngineInstallError

_KILLED = -9
_LAST_LINES = 3
_MAKE_ROOM = "make room, or set engines.directory to a larger disk; then run the same command again"

# The first that matches decides: what was wrong, and the next step.
_KNOWN: Sequence[tuple[str, str, str]] = (
    (
        r"ensurepip is not available|No module named (venv|ensurepip)",
        "this Python can't make virtual environments",
        "install its venv module (Debian, Ubuntu: apt install python3-venv), or give --python",
    ),
    (
        r"No space left on device|Disk quota exceeded",
        "the disk is full",
        _MAKE_ROOM,
    ),
    (
        r"Failed to establish a new connection|Temporary failure in name resolution|"
        r"Network is unreachable|Name or service not known|NewConnectionError|ConnectTimeout|"
        r"ProxyError|Read timed out|Connection (refused|reset|aborted)",
        "the package index can't be reached",
        "check the network, the proxy and pip's configuration (pip config list); then run the "
        "same command again: what was fetched is kept",
    ),
    (
        r"DO NOT MATCH THE HASHES|THESE PACKAGES DO NOT MATCH",
        "the index served other bytes than those this version of Pilotlight was tested with",
        "check which index pip asks (pip config list); nothing of it was installed",
    ),
    (
        rf"No matching distribution found for {re.escape(CPU_TORCH)}",
        f"pip finds no CPU build of torch ({CPU_TORCH})",
        "PyTorch serves its CPU builds on an index of its own: add that to pip's configuration "
        "(pip config set global.extra-index-url URL), or install the larger CUDA build, which "
        "runs without a GPU too, with --build cuda (transformers only)",
    ),
    (
        r"No matching distribution found for (\S+)",
        "the index has no build of a package for this Python and machine",
        "try another Python with --python, such as 3.11 or 3.12",
    ),
    (
        r"CMAKE_CXX_COMPILER|is not able to compile|No CMAKE_CUDA_COMPILER",
        "the compiler doesn't work",
        "install a C++ compiler with its libraries (Debian, Ubuntu: apt install g++)",
    ),
    (
        r"Killed signal terminated program|fatal error: error writing|out of memory",
        "the compiler ran out of memory or disk",
        "free memory, then run the same command again: it goes on where it was",
    ),
)  # fmt: skip


def unwritable(name: str, error: OSError) -> EngineInstallError:
    """The error for what this process itself couldn't write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EngineInstallError(f"{name}: the disk is full", hint=_MAKE_ROOM)
    return EngineInstallError(
        f"{name}: {error.strerror or error}: {error.filename!r}",
        hint="set engines.directory to a place that this user can write to",
    )


def explain(name: str, step: str, code: int, output: Sequence[str], log: str) -> EngineInstallError:
    """The error for a step of `name` that ended with `code` after saying `output`."""
    text = "\n".join(output)
    for pattern, reason, mend in _KNOWN:
        if re.search(pattern, text):
            return EngineInstallError(f"{name}: {step}: {reason}", hint=mend)
    if code == _KILLED:
        return EngineInstallError(
            f"{name}: {step}: it was killed, likely for memory",
            hint="free memory, then run the same command again",
        )
    said = [line.strip() for line in output if line.strip()][-_LAST_LINES:]
    return EngineInstallError(
        f"{name}: {step}: exit code {code}" + (f": {' / '.join(said)}" if said else ""),
        hint=f"its whole output is in {log}",
    )
