"""Ollama's /api/generate: over chat, or over completions with ``raw``."""

from __future__ import annotations

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
    completion_answer,
    completion_delta,
    merge,
)
from pilotlight.gateway.translate.base import NDJSON, Context, Translation
from pilotlight.gateway.wire.errors import dump


def generate(body: Mapping[str, Any], capabilities: Capabilities, context: Context) -> Translation:
    raw = bool(body.get("raw"))
    read_answer = completion_answer if raw else chat_answer
    return Translation(
        operation=Operation.COMPLETIONS if raw else Operation.CHAT,
        request=_raw_body(body, context.model)
        if raw
        else _chat_body(body, context.model, capabilities),
        respond=lambda payload: _respond(read_answer(payload), body, context),
        read=completion_delta if raw else chat_delta,
        writer=lambda: GenerateWriter(body, context),
        content_type=NDJSON,
        streams=ollama.wants_stream(body),
        loaded=lambda: loaded(body, context),
    )


def is_load(body: Mapping[str, Any]) -> bool:
    """No prompt: have the model ready, or with ``keep_alive: 0`` let it go."""
    return not body.get("prompt") and not body.get("images")


def loaded(body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    return {
        **ollama.head(context),
        "response": "",
        "done": True,
        "done_reason": ollama.load_reason(body),
    }


def _chat_body(body: Mapping[str, Any], model: str, capabilities: Capabilities) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    if system := body.get("system"):
        messages.append({"role": "system", "content": system})
    said = ollama.content(body.get("prompt") or "", body.get("images"), "images")
    return {
        "model": model,
        "messages": [*messages, {"role": "user", "content": said}],
        **ollama.sampling(body),
        **ollama.logprobs(body),
        **ollama.response_format(body),
        **ollama.thinking(body, capabilities),
        **ollama.streaming(body),
    }


def _raw_body(body: Mapping[str, Any], model: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "model": model,
        "prompt": body.get("prompt") or "",
        **ollama.sampling(body),
        **ollama.streaming(body),
    }
    if body.get("logprobs"):
        made["logprobs"] = body.get("top_logprobs") or 1
    if wanted := body.get("format"):
        made["json_schema"] = {"type": "object"} if wanted == "json" else wanted
    return made


def _respond(answer: Answer, body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    made = {**ollama.head(context), "response": answer.text, **ollama.ending(answer.finish)}
    if answer.reasoning:
        made["thinking"] = answer.reasoning
    if answer.logprobs:
        made["logprobs"] = ollama.probabilities(answer.logprobs, body)
    return made | ollama.durations(answer.closing, context)


class GenerateWriter:
    """One JSON line for each piece, and a last one with the counts."""

    def __init__(self, body: Mapping[str, Any], context: Context) -> None:
        self._body = body
        self._context = context
        self._finish = "stop"
        self._closing = Closing()

    def write(self, delta: Delta) -> bytes:
        self._finish = delta.finish or self._finish
        self._closing = merge(self._closing, delta.closing)
        if not (delta.text or delta.reasoning or delta.logprobs):
            return b""
        line: dict[str, Any] = {"response": delta.text, "done": False}
        if delta.reasoning:
            line["thinking"] = delta.reasoning
        if delta.logprobs:
            line["logprobs"] = ollama.probabilities(delta.logprobs, self._body)
        return self._line(line)

    def finish(self) -> bytes:
        closing = ollama.durations(self._closing, self._context)
        return self._line({"response": "", **ollama.ending(self._finish), **closing})

    def _line(self, fields: Mapping[str, Any]) -> bytes:
        return dump({**ollama.head(self._context), **fields}) + b"\n"
