"""Why a server that somebody else wrote didn't start: the telling lines of its log."""

from __future__ import annotations

import re

from pilotlight.engines.base import EngineProcess
from pilotlight.errors import EngineStartError

_LOG_LINES = 60
_KEPT = 3
_TELLING = re.compile(r"error|exception|fatal|cannot|can't|failed|no such|unrecognized", re.I)
_HINTS = (
    ("address already in use", "the port was taken meanwhile: ask again"),
    ("cuda out of memory", "lower context, parallel or gpu_memory_fraction"),
    ("out of memory", "lower context or parallel, or take a smaller model"),
    ("no module named", "is program the Python of the environment it is installed in?"),
    ("unrecognized arguments", "the version there has other flags: correct args or the options"),
    ("sigkill", "the kernel may have ended it for want of memory"),
)


def start_error(process: EngineProcess, name: str, how: str) -> EngineStartError:
    words = meaning(process.last_words(_LOG_LINES))
    said = " | ".join(filter(None, (words, how)))
    hint = next((hint for sign, hint in _HINTS if sign in said.lower()), None)
    return EngineStartError(
        f"the server of {name!r} did not start",
        last_words=said,
        hint=hint or "its whole log is under logs/ in the data directory",
    )


def meaning(log: str) -> str:
    """The last lines that tell of an error, for theirs come last; else just the last ones."""
    lines = [line.strip() for line in log.split(" | ") if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return " | ".join((telling or lines)[-_KEPT:])
