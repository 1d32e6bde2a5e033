"""What can go wrong with the user's code, and how it is said on the wire."""

from __future__ import annotations

import sys
import traceback
from typing import Any

_SHOWN = 500
"""Characters of an exception's text that travel; the whole of it is in the log."""


class Refusal(Exception):
    """An answer that is an error. `param` names the field at fault."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "type": _TYPES.get(status, "server_error")}
        self.error.update({k: v for k, v in (("code", code), ("param", param)) if v})


_TYPES = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error"}


class Failed(Exception):
    """The user's code raised `cause`, whatever that was: also SystemExit, which must end nobody."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(words(cause))
        self.cause = cause


class LoadError(Exception):
    """The class can't be served; `hint` is the next step where there is one."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def words(error: BaseException) -> str:
    """The last line of a traceback, as Python writes it."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def log(error: BaseException) -> None:
    """The whole traceback, to the engine's log."""
    traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
    sys.stderr.flush()


def refusal_of(method: str, error: BaseException) -> Refusal:
    """For an exception from `method`.

    One with a `status` of 400 to 499 is the client's doing and carries its own
    `code` and `param`; any other is a fault of the code, and logged as such.
    """
    status = getattr(error, "status", None)
    if type(status) is int and 400 <= status < 500:
        return Refusal(status, str(error), code=_text(error, "code"), param=_text(error, "param"))
    log(error)
    return Refusal(500, f"{method} failed: {words(error)}")


def _text(error: Any, name: str) -> str | None:
    value = getattr(error, name, None)
    return value if isinstance(value, str) else None
