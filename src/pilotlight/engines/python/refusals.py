"""The host's refusals in our own terms."""

from __future__ import annotations

from pilotlight.engines.refusal import error_of, message_of, param_of, secret_refused
from pilotlight.errors import (
    CapacityError,
    ContextTooLongError,
    EngineError,
    PilotlightError,
    RequestError,
)

SEE_LOG = "the whole traceback is in the engine's log, under logs/ in the data directory"


def translate(status: int, body: bytes) -> PilotlightError:
    """The error for an answer with `status` of 400 or more."""
    error = error_of(body)
    message = message_of(error, status)
    if error.get("code") == "wrong_secret":
        return secret_refused(message, error)
    if error.get("code") == ContextTooLongError.code:
        return ContextTooLongError(message, hint="shorten the prompt")
    if status == 429:
        return CapacityError(message, hint="ask again in a moment")
    if status < 500:
        return RequestError(message, param=param_of(error))
    return EngineError(message, hint=SEE_LOG)
