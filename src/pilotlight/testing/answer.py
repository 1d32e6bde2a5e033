"""What the brain gives back: an answer in chunks, and how many tokens each one costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

JSON = "application/json"
SSE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Chunk:
    """One write of an engine; it may go out once `tokens` more tokens are generated."""

    data: bytes
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """`slotted` answers need one of the engine's slots while they are made."""

    status: int
    content_type: str
    chunks: tuple[Chunk, ...]
    slotted: bool = False

    @property
    def streamed(self) -> bool:
        return self.content_type == SSE

    @property
    def body(self) -> bytes:
        return b"".join(chunk.data for chunk in self.chunks)


class Refusal(Exception):
    """A request that the brain refuses, in llama.cpp's error shape (server-common.cpp)."""

    def __init__(self, status: int, kind: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"code": status, "message": message, "type": kind, **details}

    def answer(self) -> Answer:
        return whole({"error": self.error}, status=self.status)


def invalid(message: str) -> Refusal:
    return Refusal(400, "invalid_request_error", message)


def whole(payload: Any, *, tokens: int = 0, status: int = 200) -> Answer:
    """One JSON document, sent when all its `tokens` are there."""
    chunk = Chunk(msgspec.json.encode(payload), tokens)
    return Answer(status, JSON, (chunk,), slotted=tokens > 0)


def stream(events: Iterable[tuple[Mapping[str, Any], int]]) -> Answer:
    """Server-sent events, each with the tokens it waits for, ended as OpenAI ends them."""
    chunks = [Chunk(_event(payload), tokens) for payload, tokens in events]
    return Answer(200, SSE, (*chunks, Chunk(b"data: [DONE]\n\n")), slotted=True)


def _event(payload: Mapping[str, Any]) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(payload)
