"""The response object of OpenAI's responses and the items of its output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilotlight.gateway.translate.answer import Answer, Closing, ToolCall
from pilotlight.gateway.translate.base import Context

_ECHOED = ("instructions", "max_output_tokens", "metadata", "reasoning", "temperature", "text")
_UNFINISHED = {"length": "max_output_tokens", "content_filter": "content_filter"}


def response(
    body: Mapping[str, Any],
    context: Context,
    created_at: int,
    output: Sequence[Mapping[str, Any]] = (),
    finish: str | None = None,
    closing: Closing | None = None,
) -> dict[str, Any]:
    """The object as it stands; without `finish` the answer is still being made."""
    unfinished = _UNFINISHED.get(finish or "")
    done = "incomplete" if unfinished else "completed"
    return {
        "id": f"resp_{context.request_id}",
        "object": "response",
        "created_at": created_at,
        "status": done if finish else "in_progress",
        "error": None,
        "incomplete_details": {"reason": unfinished} if unfinished else None,
        **{name: body.get(name) for name in _ECHOED},
        "model": context.model,
        "output": list(output),
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "store": False,
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p"),
        "truncation": "disabled",
        "usage": usage(closing) if closing else None,
    }


def usage(closing: Closing) -> dict[str, Any] | None:
    counted = closing.usage
    if counted is None:
        return None
    return {
        "input_tokens": counted.prompt_tokens,
        # OpenAI's client requires these; what isn't cached or reasoned counts as zero.
        "input_tokens_details": {
            "cached_tokens": counted.cached_tokens or 0,
            "cache_write_tokens": 0,
        },
        "output_tokens": counted.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": closing.reasoning_tokens or 0},
        "total_tokens": counted.prompt_tokens + counted.completion_tokens,
    }


def items(answer: Answer, context: Context) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    if answer.reasoning:
        made.append(reasoning_item(context, len(made), answer.reasoning))
    if answer.text or not answer.tool_calls:
        made.append(message_item(context, len(made), answer.text, status(answer.finish)))
    for call in answer.tool_calls:
        made.append(call_item(context, len(made), call, status(answer.finish)))
    return made


def status(finish: str) -> str:
    return "incomplete" if finish in _UNFINISHED else "completed"


def reasoning_item(context: Context, index: int, text: str | None) -> dict[str, Any]:
    """Without text: an item that has only begun."""
    return {
        "id": f"rs_{context.request_id}_{index}",
        "type": "reasoning",
        "summary": [],
        "content": [] if text is None else [reasoning_part(text)],
        "status": "in_progress" if text is None else "completed",
    }


def message_item(context: Context, index: int, text: str | None, status: str) -> dict[str, Any]:
    return {
        "id": f"msg_{context.request_id}_{index}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [] if text is None else [text_part(text)],
    }


def call_item(context: Context, index: int, call: ToolCall, status: str) -> dict[str, Any]:
    return {
        "id": f"fc_{context.request_id}_{index}",
        "type": "function_call",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        "status": status,
    }


def text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def reasoning_part(text: str) -> dict[str, Any]:
    return {"type": "reasoning_text", "text": text}
