"""A surface carried by another operation of the engine.

A `Translation` is made for one request and holds the engine's body, the way back
for a whole answer, and the way back for a stream. Its functions are pure but for
the clocks in `Context`. What an engine says wrongly or too early is raised as
`EngineError`; the caller renders it in the client's shape.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pilotlight.core import Operation
from pilotlight.errors import EngineError
from pilotlight.gateway.translate.stream import ReadDelta, StreamTranslation, Writer
from pilotlight.gateway.wire.errors import dump

__all__ = ["Context", "StreamTranslation", "Translation"]

EVENT_STREAM = "text/event-stream"
NDJSON = "application/x-ndjson"


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _unknown() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Context:
    """What an answer tells of the request around it; clocks are injected by the tests."""

    model: str
    """The name the client asked for; answers echo it."""

    request_id: str
    started_s: float
    """When the request came, on `clock_s`."""

    now: Callable[[], datetime] = _utc_now
    clock_s: Callable[[], float] = time.perf_counter
    load_s: Callable[[], float | None] = _unknown
    """How long this request waited for the model to load; asked at the end of the answer."""


@dataclass(frozen=True, slots=True)
class Translation:
    """One request's way to the engine and back."""

    operation: Operation
    """What the engine is asked for."""

    request: Mapping[str, Any]
    """The engine's body."""

    respond: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    read: ReadDelta
    writer: Callable[[], Writer]
    content_type: str = EVENT_STREAM
    """Of a stream."""

    streams: bool = False
    """Whether the client wants a stream; Ollama's does unless it says no."""

    loaded: Callable[[], Mapping[str, Any] | None] = _unknown
    """The answer to a request that only loads the model; None where no such request exists."""

    def answer(self, body: bytes) -> bytes:
        """The engine's whole answer as the client's. Raises EngineError for one it can't read."""
        try:
            payload = json.loads(body)
        except ValueError:
            raise EngineError(f"the engine's answer isn't JSON: {body[:80]!r}") from None
        if not isinstance(payload, dict):
            raise EngineError(f"the engine's answer isn't an object: {body[:80]!r}")
        return dump(self.respond(payload))

    def stream(self) -> StreamTranslation:
        """A fresh stream from the engine's events to the client's bytes."""
        return StreamTranslation(self.read, self.writer())
