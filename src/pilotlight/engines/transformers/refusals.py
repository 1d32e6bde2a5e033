"""The host's refusals in our own terms; host/refusal.py writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pilotlight.errors import (
    CapacityError,
    ContextTooLongError,
    EngineError,
    PilotlightError,
    RequestError,
    UnsupportedParameterError,
)


def translate(status: int, body: bytes) -> PilotlightError:
    """The error for an answer with `status` of 400 or more; any body, however odd, has one."""
    error = _error_of(body)
    message = str(error.get("message") or "").strip() or f"the engine answered {status}"
    make = _BY_TYPE.get(str(error.get("type")))
    if make is not None:
        return make(message, error)
    return RequestError(message) if 400 <= status < 500 else EngineError(message)


def _error_of(body: bytes) -> Mapping[str, Any]:
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return {"message": body.decode(errors="replace")[:500]}
    return error if isinstance(error, dict) else {"message": str(error)}


def _too_long(message: str, error: Mapping[str, Any]) -> PilotlightError:
    return ContextTooLongError(
        message, hint=f"shorten the {error.get('what', 'prompt')}, or raise the option context"
    )


def _invalid(message: str, error: Mapping[str, Any]) -> PilotlightError:
    return RequestError(message, param=error.get("param"), hint=error.get("hint"))


def _unsupported(message: str, error: Mapping[str, Any]) -> PilotlightError:
    return UnsupportedParameterError(message, param=error.get("param"), hint=error.get("hint"))


def _out_of_memory(message: str, error: Mapping[str, Any]) -> PilotlightError:
    return CapacityError(message, hint="lower the options parallel or context")


def _secret_refused(message: str, error: Mapping[str, Any]) -> PilotlightError:
    # The client's key was checked before: this one is ours, and the fault too.
    return EngineError(f"the engine refused the gateway: {message}")


_BY_TYPE: Mapping[str, Callable[[str, Mapping[str, Any]], PilotlightError]] = {
    "context_too_long": _too_long,
    "invalid_request": _invalid,
    "unsupported": _unsupported,
    "out_of_memory": _out_of_memory,
    "secret_refused": _secret_refused,
}
