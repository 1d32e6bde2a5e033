"""A remote endpoint's refusals in our own terms: whose fault is it, and will it pass?

Statuses as in https://platform.openai.com/docs/guides/error-codes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pilotlight.errors import (
    CapacityError,
    ContextTooLongError,
    EngineRefusedError,
    PilotlightError,
    RateLimitedError,
    RequestError,
)

SHOWN_CHARACTERS = 300
_TOO_LONG = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"}
)
_NO_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


def translate(status: int, body: bytes) -> PilotlightError:
    """The error for an answer with any status but 200; any body, however odd, has one."""
    error = _error_of(body)
    said = str(error.get("message") or "").strip()[:SHOWN_CHARACTERS]
    message = f"the remote engine answered {status}{': ' if said else ''}{said}"
    words = {str(error.get("code")), str(error.get("type"))}
    if words & _TOO_LONG or _is_too_long(said):
        return ContextTooLongError(said, param=_param(error), hint="shorten the prompt")
    if words & _NO_CREDIT or status == 402:
        return EngineRefusedError(message, hint="its account has no credit left: top it up there")
    if status in _BY_STATUS:
        return _BY_STATUS[status](message)
    if 400 <= status < 500:
        return RequestError(said or message, param=_param(error))
    if 300 <= status < 400:
        return EngineRefusedError(message, hint="it sends elsewhere: correct the option base_url")
    return CapacityError(message, hint="ask again later")


def _is_too_long(said: str) -> bool:
    lower = said.lower()
    return "context length" in lower and ("maximum" in lower or "exceed" in lower)


def _error_of(body: bytes) -> Mapping[str, Any]:
    """OpenAI's object, a bare text in its place, FastAPI's detail, or whatever came instead."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {"message": " ".join(body.decode(errors="replace").split())}
    if not isinstance(found, dict):
        return {}
    error = found.get("error", found.get("detail", found))
    return error if isinstance(error, dict) else {"message": str(error)}


def _param(error: Mapping[str, Any]) -> str | None:
    param = error.get("param")
    return param if isinstance(param, str) else None


def _no_key(message: str) -> PilotlightError:
    # The client's key was checked before: this one is ours, and the fault too.
    return EngineRefusedError(
        message, hint="the gateway's key there is missing, wrong or revoked: see api_key_env"
    )


def _forbidden(message: str) -> PilotlightError:
    return EngineRefusedError(message, hint="the gateway's key there may not do this")


def _unknown(message: str) -> PilotlightError:
    return EngineRefusedError(
        message, hint="is the model's name in its ref right, and base_url complete with its /v1?"
    )


def _limited(message: str) -> PilotlightError:
    return RateLimitedError(message, hint="ask again later, or lower max_concurrency")


_BY_STATUS: Mapping[int, Callable[[str], PilotlightError]] = {
    401: _no_key,
    403: _forbidden,
    404: _unknown,
    405: _unknown,
    429: _limited,
}
