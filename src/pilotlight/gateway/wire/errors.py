"""Errors in the shape each surface's own clients turn into their own exceptions.

OpenAI: https://platform.openai.com/docs/guides/error-codes
Anthropic: https://docs.anthropic.com/en/api/errors
Ollama: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pilotlight.core import Operation, Surface
from pilotlight.errors import CapacityError, PilotlightError, RequestError


@dataclass(frozen=True, slots=True)
class Rendered:
    """A whole error answer; `headers` are those beyond content-type and x-request-id."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def _openai_error(error: PilotlightError) -> dict[str, Any]:
    otherwise = "invalid_request_error" if error.status < 500 else "server_error"
    return {
        "message": error.one_line(),
        "type": _OPENAI_TYPES.get(error.status, otherwise),
        "param": error.param if isinstance(error, RequestError) else None,
        "code": error.code,
    }


def _openai(error: PilotlightError, request_id: str) -> dict[str, Any]:
    return {"error": _openai_error(error)}


def _anthropic(error: PilotlightError, request_id: str) -> dict[str, Any]:
    otherwise = "invalid_request_error" if error.status < 500 else "api_error"
    kind = _ANTHROPIC_TYPES.get(error.status, otherwise)
    inner = {"type": kind, "message": error.one_line()}
    return {"type": "error", "error": inner, "request_id": request_id}


def _ollama(error: PilotlightError, request_id: str) -> dict[str, Any]:
    return {"error": error.one_line()}


_SHAPES: Mapping[Surface, Callable[[PilotlightError, str], dict[str, Any]]] = {
    Surface.OPENAI: _openai,
    Surface.ANTHROPIC: _anthropic,
    Surface.OLLAMA: _ollama,
}
# Where a surface's clients look for the id they report, when it isn't x-request-id.
_ID_HEADERS = {Surface.ANTHROPIC: "request-id"}


def render(surface: Surface, error: PilotlightError, request_id: str) -> Rendered:
    """The error as a whole answer, with Retry-After where the wait is known."""
    headers = []
    if surface in _ID_HEADERS:
        headers.append((_ID_HEADERS[surface], request_id))
    if isinstance(error, CapacityError) and error.retry_after_s is not None:
        headers.append(("retry-after", str(retry_after(error.retry_after_s))))
    if error.status == 401:
        headers.append(("www-authenticate", "Bearer"))
    return Rendered(error.status, tuple(headers), dump(_SHAPES[surface](error, request_id)))


def retry_after(seconds: float) -> int:
    """Whole seconds, rounded up so that nobody comes back too early, and at least one."""
    return max(1, math.ceil(seconds))


def event(
    surface: Surface,
    operation: Operation,
    error: PilotlightError,
    request_id: str,
    *,
    sequence: int = 0,
) -> bytes:
    """The error as the last event of a stream whose status 200 is already sent.

    `operation` tells OpenAI's responses, which name their events and number them
    (`sequence`), from the rest. No ``[DONE]`` follows: a client must not take the
    answer for a whole one.
    """
    body = _SHAPES[surface](error, request_id)
    if surface is Surface.OLLAMA:
        return dump(body) + b"\n"
    if surface is Surface.ANTHROPIC:
        return named("error", body)
    if operation is Operation.RESPONSES:
        return named("error", _responses_error(error, sequence))
    return b"data: " + dump(body) + b"\n\n"


def _responses_error(error: PilotlightError, sequence: int) -> dict[str, Any]:
    """Flat, as documented, and nested too: that is what makes OpenAI's client raise."""
    inner = _openai_error(error)
    flat = {name: inner[name] for name in ("code", "message", "param")}
    return {"type": "error", **flat, "sequence_number": sequence, "error": inner}


def named(name: str, body: Mapping[str, Any]) -> bytes:
    """One SSE event with a name."""
    return b"event: " + name.encode() + b"\ndata: " + dump(body) + b"\n\n"


def dump(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
