"""llama.cpp's refusals in our own terms."""

from __future__ import annotations

import json
import re
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

# "request (5123 tokens) exceeds the available context size (4096 tokens), …", and its kin.
_TOKENS = re.compile(r"\((\d+) tokens\)")
_FIELD = re.compile(r"^Field '([^']+)': ")


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
    found = [int(number) for number in _TOKENS.findall(message)]
    prompt, context = error.get("n_prompt_tokens"), error.get("n_ctx")
    if not prompt and len(found) == 2:
        prompt, context = found
    if not prompt:
        return ContextTooLongError(message, hint=_SHORTEN)
    return ContextTooLongError(
        f"the prompt has {prompt} tokens and the model's context {context}", hint=_SHORTEN
    )


_SHORTEN = "shorten the prompt, or raise the model's option context"


def _invalid(message: str, error: Mapping[str, Any]) -> PilotlightError:
    field = _FIELD.match(message)
    return RequestError(message, param=field[1] if field else None)


def _unsupported(message: str, error: Mapping[str, Any]) -> PilotlightError:
    return UnsupportedParameterError(message, hint="this model or its options don't allow it")


def _unavailable(message: str, error: Mapping[str, Any]) -> PilotlightError:
    return CapacityError(message, hint="ask again in a moment")


def _secret_refused(message: str, error: Mapping[str, Any]) -> PilotlightError:
    # The client's key was checked before: this one is ours, and the fault too.
    return EngineError(f"the engine refused the gateway: {message}")


def _failed(message: str, error: Mapping[str, Any]) -> PilotlightError:
    # "Context size has been exceeded." reaches a client whose answer outgrew a shared cache.
    if "exceed" in message.lower() and "context" in message.lower():
        return ContextTooLongError(message, hint=_SHORTEN)
    if "too large to process" in message:
        return ContextTooLongError(message, hint="shorten the input, or raise ubatch_size")
    # llama.cpp answers 500 for some of what only the client can mend.
    if "is not supported" in message or "requires" in message:
        return UnsupportedParameterError(message, hint="this model or its options don't allow it")
    return EngineError(message)


_BY_TYPE: Mapping[str, Callable[[str, Mapping[str, Any]], PilotlightError]] = {
    "exceed_context_size_error": _too_long,
    "invalid_request_error": _invalid,
    "not_supported_error": _unsupported,
    "unavailable_error": _unavailable,
    "authentication_error": _secret_refused,
    "permission_error": _secret_refused,
    "server_error": _failed,
}
