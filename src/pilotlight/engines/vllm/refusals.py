"""vLLM's refusals in our own terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pilotlight.engines.refusal import error_of, message_of, param_of, secret_refused
from pilotlight.errors import (
    CapacityError,
    ContextTooLongError,
    EngineError,
    PilotlightError,
    RequestError,
    UnsupportedParameterError,
)

_CONTEXT = re.compile(r"maximum context length is (\d+) tokens", re.IGNORECASE)
_PROMPT = re.compile(
    r"(?:prompt contains|your request has|input tokens?[^\d]{0,30}|You passed)\D{0,30}(\d+)"
)
_ANSWER = re.compile(r"max_tokens=(\d+) cannot be greater than max_model_len=(\d+)")
_REPEATED = re.compile(r"\s*\(parameter=.*, value=.*\)$", re.DOTALL)
"""What the error's own `param` says, once more."""

_SHORTEN = "shorten the prompt, ask for fewer tokens, or raise the option max_model_len"
_OPTIONS = (
    ("chat template", "give the model one with the option chat_template"),
    ("tool-call-parser", "set the option tool_call_parser"),
    ("tool call parser", "set the option tool_call_parser"),
    ("reasoning parser", "set the option reasoning_parser"),
    ("reasoning-parser", "set the option reasoning_parser"),
    ("max_logprobs", "raise the option max_logprobs"),
    ("At most", "raise the option limit_mm_per_prompt"),
)
"""What a client's request meets and only the model's options can mend."""


def translate(status: int, body: bytes) -> PilotlightError:
    """The error for an answer with `status` of 400 or more; any body, however odd, has one."""
    error = error_of(body)
    message = _REPEATED.sub("", message_of(error, status))
    if status == 401:
        return secret_refused(message, error)
    if context := _CONTEXT.search(message):
        return _too_long(message, int(context[1]))
    if answer := _ANSWER.search(message):
        return ContextTooLongError(
            f"an answer of {answer[1]} tokens is over the model's context of {answer[2]}",
            hint=_SHORTEN,
        )
    if status in (429, 503):
        return CapacityError(message, hint="ask again in a moment")
    if status == 501:
        return UnsupportedParameterError(message, hint="this model doesn't do it")
    if not 400 <= status < 500:
        return EngineError(message)
    return _wrong(message, error)


def _too_long(message: str, context: int) -> ContextTooLongError:
    prompt = _PROMPT.search(message)
    if prompt is None or int(prompt[1]) < context:
        return ContextTooLongError(message, hint=_SHORTEN)
    return ContextTooLongError(
        f"the prompt has {prompt[1]} tokens or more and the model's context {context}",
        hint=_SHORTEN,
    )


def _wrong(message: str, error: Mapping[str, Any]) -> PilotlightError:
    hint = next((hint for sign, hint in _OPTIONS if sign in message), None)
    if hint is not None:
        return UnsupportedParameterError(message, hint=hint)
    param = param_of(error)
    return RequestError(message, param=param.removeprefix("body.") if param else None)
