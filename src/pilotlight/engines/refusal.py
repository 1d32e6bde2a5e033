"""How an engine's server says no: the part in which they are all alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pilotlight.errors import EngineError, PilotlightError, RequestError

SHOWN_CHARACTERS = 500

Make = Callable[[str, Mapping[str, Any]], PilotlightError]
"""From the refusal's message and its whole object."""


def error_of(body: bytes) -> Mapping[str, Any]:
    """OpenAI's object, a bare text in its place, or whatever came instead."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return {"message": " ".join(body.decode(errors="replace").split())[:SHOWN_CHARACTERS]}
    error = found.get("error", found)
    return error if isinstance(error, dict) else {"message": str(error)}


def message_of(error: Mapping[str, Any], status: int) -> str:
    return str(error.get("message") or "").strip() or f"the engine answered {status}"


def param_of(error: Mapping[str, Any]) -> str | None:
    param = error.get("param")
    return param if isinstance(param, str) else None


def translated(status: int, body: bytes, by_type: Mapping[str, Make]) -> PilotlightError:
    """For a server that names its refusals' types; any body, however odd, has an error."""
    error = error_of(body)
    message = message_of(error, status)
    make = by_type.get(str(error.get("type")))
    if make is not None:
        return make(message, error)
    return RequestError(message) if 400 <= status < 500 else EngineError(message)


def secret_refused(message: str, error: Mapping[str, Any]) -> PilotlightError:
    """The client's key was checked before: this one is ours, and the fault too."""
    return EngineError(f"the engine refused the gateway: {message}")
