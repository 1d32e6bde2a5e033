"""Anthropic's messages over an engine that speaks chat.

Counting tokens is not translated: only the engine knows its chat template, so
there is no chat request that counts without generating. An engine without
``count_tokens`` doesn't have it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pilotlight.core import Capabilities, Operation
from pilotlight.errors import EngineError
from pilotlight.gateway.translate.answer import Answer, Closing, ToolCall, chat_answer, chat_delta
from pilotlight.gateway.translate.base import Context, Translation
from pilotlight.gateway.translate.messages_request import chat_body
from pilotlight.gateway.translate.messages_stream import MessagesWriter

_REASONS = {"length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def messages(body: Mapping[str, Any], capabilities: Capabilities, context: Context) -> Translation:
    return Translation(
        operation=Operation.CHAT,
        request=chat_body(body, context.model, capabilities),
        respond=lambda payload: message(chat_answer(payload), context),
        read=chat_delta,
        writer=lambda: MessagesWriter(context, stop_reason, usage),
        streams=bool(body.get("stream")),
    )


def message(answer: Answer, context: Context) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if answer.reasoning:
        # Signatures prove that Anthropic wrote a thought; a local model has none to give.
        content.append({"type": "thinking", "thinking": answer.reasoning, "signature": ""})
    if answer.text:
        content.append({"type": "text", "text": answer.text})
    content += [_tool_use(call) for call in answer.tool_calls]
    return {
        "id": f"msg_{context.request_id}",
        "type": "message",
        "role": "assistant",
        "model": context.model,
        "content": content,
        "stop_reason": stop_reason(answer.finish, answer.stop_sequence),
        "stop_sequence": answer.stop_sequence,
        "usage": usage(answer.closing),
    }


def _tool_use(call: ToolCall) -> dict[str, Any]:
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        raise EngineError(
            f"the model called {call.name!r} with arguments that aren't JSON: "
            f"{call.arguments[:80]!r}",
            hint="raise max_tokens, or ask again",
        ) from None
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def stop_reason(finish: str, stop_sequence: str | None) -> str:
    """Most engines don't say which text stopped them; those that do make it a stop_sequence."""
    if stop_sequence is not None:
        return "stop_sequence"
    return _REASONS.get(finish, "end_turn")


def usage(closing: Closing) -> dict[str, Any]:
    counted = closing.usage
    if counted is None:
        return {"input_tokens": 0, "output_tokens": 0}
    cached = counted.cached_tokens
    made = {
        "input_tokens": counted.prompt_tokens - (cached or 0),
        "output_tokens": counted.completion_tokens,
    }
    return made if cached is None else {**made, "cache_read_input_tokens": cached}
