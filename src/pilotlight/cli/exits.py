"""What the exit codes mean, everywhere the same."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from pilotlight.errors import PilotlightError, ServerRefusedError


class Exit(IntEnum):
    OK = 0
    FAILURE = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    NOT_ALLOWED = 5
    INTERRUPTED = 130


MEANINGS: Mapping[Exit, str] = {
    Exit.OK: "it worked",
    Exit.FAILURE: "it failed",
    Exit.USAGE: "wrong usage or configuration",
    Exit.UNREACHABLE: "no server answers",
    Exit.NOT_FOUND: "no such model or key",
    Exit.NOT_ALLOWED: "the server wants another API key",
    Exit.INTERRUPTED: "stopped with Ctrl-C",
}

_BY_STATUS: Mapping[int, Exit] = {
    401: Exit.NOT_ALLOWED,
    403: Exit.NOT_ALLOWED,
    404: Exit.NOT_FOUND,
}


def exit_of(error: PilotlightError) -> int:
    """A server's refusal speaks through its status; every other error has its own code."""
    if isinstance(error, ServerRefusedError):
        return _BY_STATUS.get(error.answer, Exit.FAILURE)
    return error.exit_code
