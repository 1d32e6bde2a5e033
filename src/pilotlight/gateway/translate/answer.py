"""What an engine answered to chat or completions, out of the wire's shape.

Only the first choice is read: no translated surface has more than one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pilotlight.core import Usage
from pilotlight.errors import EngineError
from pilotlight.gateway.wire.usage import read_usage

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A whole call; `arguments` is JSON in a string, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Closing:
    """What comes with the end of an answer."""

    usage: Usage | None = None
    timings: Mapping[str, Any] = field(default_factory=dict)
    """llama.cpp's own figures in milliseconds; empty from other engines."""

    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    text: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    finish: str
    stop_sequence: str | None
    logprobs: tuple[Mapping[str, Any], ...]
    closing: Closing


@dataclass(frozen=True, slots=True)
class ToolDelta:
    """A piece of the call at `index`; the first piece has its id and name."""

    index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer."""

    text: str = ""
    reasoning: str = ""
    tools: tuple[ToolDelta, ...] = ()
    finish: str | None = None
    stop_sequence: str | None = None
    logprobs: tuple[Mapping[str, Any], ...] = ()
    closing: Closing | None = None


def chat_answer(payload: Mapping[str, Any]) -> Answer:
    choice = _only_choice(payload)
    message = choice.get("message") or _NOTHING
    calls = tuple(
        ToolCall(call.get("id") or f"call_{index}", *_function(call.get("function") or _NOTHING))
        for index, call in enumerate(message.get("tool_calls") or ())
    )
    return _answer(payload, choice, message.get("content"), _reasoning(message), calls)


def completion_answer(payload: Mapping[str, Any]) -> Answer:
    choice = _only_choice(payload)
    return _answer(payload, choice, choice.get("text"), "", ())


def _answer(
    payload: Mapping[str, Any],
    choice: Mapping[str, Any],
    text: str | None,
    reasoning: str,
    calls: tuple[ToolCall, ...],
) -> Answer:
    return Answer(
        text=text or "",
        reasoning=reasoning,
        tool_calls=calls,
        finish=choice.get("finish_reason") or "stop",
        stop_sequence=_stop_sequence(choice),
        logprobs=_logprobs(choice),
        closing=_closing(payload) or Closing(),
    )


def chat_delta(payload: Mapping[str, Any]) -> Delta:
    choice = _first(payload.get("choices"))
    delta = choice.get("delta") or _NOTHING
    return Delta(
        text=delta.get("content") or "",
        reasoning=_reasoning(delta),
        tools=tuple(map(_tool_delta, delta.get("tool_calls") or ())),
        finish=choice.get("finish_reason"),
        stop_sequence=_stop_sequence(choice),
        logprobs=_logprobs(choice),
        closing=_closing(payload),
    )


def completion_delta(payload: Mapping[str, Any]) -> Delta:
    choice = _first(payload.get("choices"))
    return Delta(
        text=choice.get("text") or "",
        finish=choice.get("finish_reason"),
        stop_sequence=_stop_sequence(choice),
        logprobs=_logprobs(choice),
        closing=_closing(payload),
    )


def _first(choices: Any) -> Mapping[str, Any]:
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else _NOTHING


def _only_choice(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    choice = _first(payload.get("choices"))
    if not choice:
        raise EngineError(f"the engine's answer has no choices, only {sorted(payload)!r}")
    return choice


def _reasoning(message: Mapping[str, Any]) -> str:
    # llama.cpp says reasoning_content, vLLM says reasoning.
    return message.get("reasoning_content") or message.get("reasoning") or ""


def _function(function: Mapping[str, Any]) -> tuple[str, str]:
    return function.get("name") or "", function.get("arguments") or ""


def _tool_delta(piece: Mapping[str, Any]) -> ToolDelta:
    function = piece.get("function") or _NOTHING
    name, arguments = _function(function)
    return ToolDelta(piece.get("index") or 0, piece.get("id"), name or None, arguments)


def _stop_sequence(choice: Mapping[str, Any]) -> str | None:
    reason = choice.get("stop_reason")  # vLLM's: the stop text, a token id, or null
    return reason if isinstance(reason, str) else None


def _logprobs(choice: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    return tuple((choice.get("logprobs") or _NOTHING).get("content") or ())


def _closing(payload: Mapping[str, Any]) -> Closing | None:
    usage, timings = payload.get("usage"), payload.get("timings")
    if not usage and not timings:
        return None
    details = (usage or _NOTHING).get("completion_tokens_details") or _NOTHING
    counted = read_usage(usage) if usage else None
    return Closing(counted, timings or {}, details.get("reasoning_tokens"))


def merge(earlier: Closing, later: Closing | None) -> Closing:
    """Engines may give usage and timings in different chunks."""
    if later is None:
        return earlier
    return Closing(
        later.usage or earlier.usage,
        later.timings or earlier.timings,
        later.reasoning_tokens if later.reasoning_tokens is not None else earlier.reasoning_tokens,
    )
