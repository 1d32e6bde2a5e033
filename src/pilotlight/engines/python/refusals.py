"""The host's refusals in our own terms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

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
    error = _error_of(body)
    message = str(error.get("message") or f"the host answered {status}")
    if error.get("code") == "wrong_secret":  # ours, and so the fault
        return EngineError(f"the engine refused the gateway: {message}")
    if error.get("code") == ContextTooLongError.code:
        return ContextTooLongError(message, hint="shorten the prompt")
    if status == 429:
        return CapacityError(message, hint="ask again in a moment")
    if status < 500:
        return RequestError(message, param=error.get("param"))
    return EngineError(message, hint=SEE_LOG)


def _error_of(body: bytes) -> Mapping[str, Any]:
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return {"message": body.decode(errors="replace")[:500]}
    return error if isinstance(error, dict) else {"message": str(error)}
