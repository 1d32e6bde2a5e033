"""OpenAI's chat around what `generate` gives: strings, or dicts with fields of a delta."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from .connection import Connection
from .model import Model
from .refusal import Refusal

_DELTA = ("content", "reasoning_content", "tool_calls")
_BESIDE = ("finish_reason", "usage")
_FIELDS = ", ".join(_DELTA + _BESIDE)


async def chat(model: Model, body: dict[str, Any], connection: Connection) -> None:
    _check_messages(body.get("messages"))
    stream, options = body.pop("stream", None), body.pop("stream_options", None) or {}
    answer = Answer(model.name)
    pieces = model.pieces(body)
    try:
        if not stream:
            async for piece in pieces:
                answer.add(piece)
            await connection.json(answer.whole())
            return
        opening: dict[str, Any] = {"role": "assistant", "content": ""}
        async for piece in pieces:
            delta = {**opening, **answer.add(piece)}
            opening = {}
            await connection.event(answer.chunk(delta))
        for event in answer.closing(opening, bool(options.get("include_usage"))):
            await connection.event(event)
        await connection.done()
    finally:
        await pieces.aclose()


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        raise Refusal(400, "'messages' is no array of objects", param="messages")


class Answer:
    """One answer as it grows. Usage is what `generate` says, or nothing."""

    def __init__(self, model: str) -> None:
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }
        self._text = {"content": "", "reasoning_content": ""}
        self._calls: dict[int, dict[str, Any]] = {}
        self._finish: str | None = None
        self._usage: dict[str, int] | None = None

    def add(self, piece: Any) -> Mapping[str, Any]:
        """The delta that `piece` makes. Raises Refusal for one that is none."""
        fields = {"content": piece} if isinstance(piece, str) else piece
        if not isinstance(fields, dict) or not fields.keys() <= {*_DELTA, *_BESIDE}:
            raise _wrong(f"gave {piece!r}"[:200], f"a str, or a dict of {_FIELDS}")
        for name in self._text:
            if not isinstance(fields.get(name) or "", str):
                raise _wrong(f"gave {name} {fields[name]!r}"[:200], "a str")
            self._text[name] += fields.get(name) or ""
        for call in fields.get("tool_calls") or ():
            self._merge(call)
        self._finish = fields.get("finish_reason", self._finish)
        if fields.get("usage") is not None:
            self._usage = _usage(fields["usage"])
        return {name: fields[name] for name in _DELTA if fields.get(name) is not None}

    def _merge(self, call: Mapping[str, Any]) -> None:
        """Arguments come in parts, the rest of a call once."""
        known = self._calls.setdefault(call.get("index", 0), {"type": "function", "function": {}})
        known.update({k: v for k, v in call.items() if k not in ("index", "function")})
        for name, text in (call.get("function") or {}).items():
            known["function"][name] = known["function"].get(name, "") + text

    @property
    def finish(self) -> str:
        return self._finish or ("tool_calls" if self._calls else "stop")

    def whole(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self._text["content"]}
        if self._text["reasoning_content"]:
            message["reasoning_content"] = self._text["reasoning_content"]
        if self._calls:
            message["tool_calls"] = [self._calls[index] for index in sorted(self._calls)]
            message["content"] = message["content"] or None
        choice = {"index": 0, "message": message, "finish_reason": self.finish}
        usage = {"usage": self._usage} if self._usage else {}
        return {**self._head, "object": "chat.completion", "choices": [choice], **usage}

    def chunk(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice]}

    def closing(self, delta: Mapping[str, Any], include_usage: bool) -> list[dict[str, Any]]:
        """Usage in an event of its own if asked for, else beside the end, for the account."""
        end = self.chunk(delta, self.finish)
        if self._usage is None:
            return [end]
        if not include_usage:
            return [{**end, "usage": self._usage}]
        return [end, {**end, "choices": [], "usage": self._usage}]


def _usage(given: Any) -> dict[str, int]:
    names = ("prompt_tokens", "completion_tokens")
    if not isinstance(given, dict) or not all(type(given.get(name)) is int for name in names):
        raise _wrong(f"gave usage {given!r}"[:200], "prompt_tokens and completion_tokens")
    counts = {name: given[name] for name in names}
    return {**counts, "total_tokens": sum(counts.values())}


def _wrong(what: str, expected: str) -> Refusal:
    return Refusal(500, f"generate {what}, expected {expected}")
