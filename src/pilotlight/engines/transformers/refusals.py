"""The host's refusals in our own terms; host/refusal.py writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.engines.refusal import Make, param_of, secret_refused, translated
from pilotlight.errors import (
    CapacityError,
    ContextTooLongError,
    PilotlightError,
    RequestError,
    UnsupportedParameterError,
)


def translate(status: int, body: bytes) -> PilotlightError:
    """The error for an answer with `status` of 400 or more; any body, however odd, has one."""
    return translated(status, body, _BY_TYPE)


def _too_long(message: str, error: Mapping[str, Any]) -> PilotlightError:
    return ContextTooLongError(
        message, hint=f"shorten the {error.get('what', 'prompt')}, or raise the option context"
    )


def _invalid(message: str, error: Mapping[str, Any]) -> PilotlightError:
    return RequestError(message, param=param_of(error), hint=error.get("hint"))


def _unsupported(message: str, error: Mapping[str, Any]) -> PilotlightError:
    return UnsupportedParameterError(message, param=param_of(error), hint=error.get("hint"))


def _out_of_memory(message: str, error: Mapping[str, Any]) -> PilotlightError:
    return CapacityError(message, hint="lower the options parallel or context")


_BY_TYPE: Mapping[str, Make] = {
    "context_too_long": _too_long,
    "invalid_request": _invalid,
    "unsupported": _unsupported,
    "out_of_memory": _out_of_memory,
    "secret_refused": secret_refused,
}
