"""Ollama's /api/chat over chat."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pilotlight.core import Capabilities, Operation
from pilotlight.gateway.translate import ollama
from pilotlight.gateway.translate.answer import (
    Answer,
    Closing,
    Delta,
    chat_answer,
    chat_delta,
    merge,
)
from pilotlight.gateway.translate.base import NDJSON, Context, Translation
from pilotlight.gateway.translate.tool_parts import ToolCalls
from pilotlight.gateway.wire.errors import dump


def chat(body: Mapping[str, Any], capabilities: Capabilities, context: Context) -> Translation:
    return Translation(
        operation=Operation.CHAT,
        request=_chat_body(body, context.model, capabilities),
        respond=lambda payload: _respond(chat_answer(payload), body, context),
        read=chat_delta,
        writer=lambda: ChatWriter(body, context),
        content_type=NDJSON,
        streams=ollama.wants_stream(body),
        loaded=lambda: loaded(body, context),
    )


def is_load(body: Mapping[str, Any]) -> bool:
    """No messages: have the model ready, or with ``keep_alive: 0`` let it go."""
    return not body.get("messages")


def loaded(body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    message = {"role": "assistant", "content": ""}
    return {
        **ollama.head(context),
        "message": message,
        "done": True,
        "done_reason": ollama.load_reason(body),
    }


def _chat_body(body: Mapping[str, Any], model: str, capabilities: Capabilities) -> dict[str, Any]:
    chat: dict[str, Any] = {
        "model": model,
        "messages": _Messages(capabilities).translate(body.get("messages") or []),
        **ollama.sampling(body),
        **ollama.logprobs(body),
        **ollama.response_format(body),
        **ollama.thinking(body, capabilities),
        **ollama.streaming(body),
    }
    if body.get("tools"):
        chat["tools"] = body["tools"]
    return chat


class _Messages:
    """Ollama's calls have no ids: results follow them in order, or carry the tool's name."""

    def __init__(self, capabilities: Capabilities) -> None:
        self._thinks = capabilities.thinking
        self._count = 0
        self._waiting: list[tuple[str, str]] = []

    def translate(self, messages: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [self._message(index, message) for index, message in enumerate(messages)]

    def _message(self, index: int, message: Mapping[str, Any]) -> dict[str, Any]:
        path = f"messages[{index}].images"
        made: dict[str, Any] = {
            "role": message["role"],
            "content": ollama.content(message.get("content") or "", message.get("images"), path),
        }
        if message.get("tool_calls"):
            made["tool_calls"] = [self._call(call) for call in message["tool_calls"]]
        if message.get("thinking") and self._thinks:
            made["reasoning_content"] = message["thinking"]
        if message["role"] == "tool":
            made["tool_call_id"] = message.get("tool_call_id") or self._answered(message)
        return made

    def _call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        function = call["function"]
        identity = call.get("id") or f"call_{self._count}"
        self._count += 1
        self._waiting.append((identity, function["name"]))
        text = json.dumps(function["arguments"], ensure_ascii=False)
        made = {"name": function["name"], "arguments": text}
        return {"id": identity, "type": "function", "function": made}

    def _answered(self, message: Mapping[str, Any]) -> str:
        name = message.get("tool_name") or message.get("name")
        for waiting in self._waiting:
            if name in (None, waiting[1]):
                self._waiting.remove(waiting)
                return waiting[0]
        # A result without its call, as after a history cut short: an id of its own.
        self._count += 1
        return f"call_{self._count - 1}"


def _respond(answer: Answer, body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.reasoning:
        message["thinking"] = answer.reasoning
    if answer.tool_calls:
        message["tool_calls"] = ollama.tool_calls(answer.tool_calls)
    made = {**ollama.head(context), "message": message, **ollama.ending(answer.finish)}
    if answer.logprobs:
        made["logprobs"] = ollama.probabilities(answer.logprobs, body)
    return made | ollama.durations(answer.closing, context)


class ChatWriter:
    """One JSON line for each piece; tool calls come whole, before the last line."""

    def __init__(self, body: Mapping[str, Any], context: Context) -> None:
        self._body = body
        self._context = context
        self._calls = ToolCalls()
        self._finish = "stop"
        self._closing = Closing()

    def write(self, delta: Delta) -> bytes:
        for piece in delta.tools:
            self._calls.add(piece)
        self._finish = delta.finish or self._finish
        self._closing = merge(self._closing, delta.closing)
        if not (delta.text or delta.reasoning or delta.logprobs):
            return b""
        message = {"role": "assistant", "content": delta.text}
        if delta.reasoning:
            message["thinking"] = delta.reasoning
        line: dict[str, Any] = {"message": message, "done": False}
        if delta.logprobs:
            line["logprobs"] = ollama.probabilities(delta.logprobs, self._body)
        return self._line(line)

    def finish(self) -> bytes:
        lines = b""
        if calls := self._calls.all():
            message = {"role": "assistant", "content": "", "tool_calls": ollama.tool_calls(calls)}
            lines = self._line({"message": message, "done": False})
        return lines + self._line(
            {
                "message": {"role": "assistant", "content": ""},
                **ollama.ending(self._finish),
                **ollama.durations(self._closing, self._context),
            }
        )

    def _line(self, fields: Mapping[str, Any]) -> bytes:
        return dump({**ollama.head(self._context), **fields}) + b"\n"
