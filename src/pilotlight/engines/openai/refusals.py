"""A remote endpoint's refusals in our own terms: whose fault is it, and will it pass?

Statuses as in https://platform.openai.com/docs/guides/error-codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pilotlight.engines.refusal import error_of, param_of
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
    error = error_of(body)
    # FastAPI, behind many of them, puts its own words into detail.
    said = str(error.get("message") or error.get("detail") or "").strip()[:SHOWN_CHARACTERS]
    message = f"the remote engine answered {status}{': ' if said else ''}{said}"
    words = {str(error.get("code")), str(error.get("type"))}
    if words & _TOO_LONG or _is_too_long(said):
        return ContextTooLongError(
            said or message, param=param_of(error), hint="shorten the prompt"
        )
    if words & _NO_CREDIT or status == 402:
        return EngineRefusedError(message, hint="its account has no credit left: top it up there")
    if status in _BY_STATUS:
        return _BY_STATUS[status](message)
    if 400 <= status < 500:
        return RequestError(said or message, param=param_of(error))
    if 300 <= status < 400:
        return EngineRefusedError(message, hint="it sends elsewhere: correct the option base_url")
    return _later(message)


def _is_too_long(said: str) -> bool:
    lower = said.lower()
    return "context length" in lower and ("maximum" in lower or "exceed" in lower)


def _no_key(message: str) -> PilotlightError:
    # The client's key was checked before: this one is ours, and the fault too.
    return EngineRefusedError(
        message, hint="the gateway's key there is missing, wrong or revoked: see api_key_env"
    )


def _forbidden(message: str) -> PilotlightError:
    return EngineRefusedError(message, hint="the gateway's key there may not do this")


def _proxy(message: str) -> PilotlightError:
    return EngineRefusedError(
        message, hint="the proxy before it wants credentials: see HTTPS_PROXY of the server"
    )


def _later(message: str) -> PilotlightError:
    return CapacityError(message, hint="ask again later")


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
    407: _proxy,
    408: _later,
    425: _later,
    429: _limited,
}
