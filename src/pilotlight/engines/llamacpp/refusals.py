"""llama.cpp's refusals in our own terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pilotlight.engines.refusal import Make, secret_refused, translated
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
    return translated(status, body, _BY_TYPE)


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


_BY_TYPE: Mapping[str, Make] = {
    "exceed_context_size_error": _too_long,
    "invalid_request_error": _invalid,
    "not_supported_error": _unsupported,
    "unavailable_error": _unavailable,
    "authentication_error": secret_refused,
    "permission_error": secret_refused,
    "server_error": _failed,
}
