"""Engine events in, client bytes out, however the chunks are cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pilotlight.errors import EngineCrashedError, EngineError
from pilotlight.gateway.translate.answer import Delta
from pilotlight.gateway.wire.sse import DONE, Event, EventReader

ReadDelta = Callable[[Mapping[str, Any]], Delta]


class Writer(Protocol):
    """One surface's stream: it keeps what its later events repeat."""

    def write(self, delta: Delta) -> bytes: ...

    def finish(self) -> bytes:
        """The closing events; called once, and only after a delta with a finish reason."""
        ...


class StreamTranslation:
    """Incremental translation of one answer.

    A failure is kept until everything before it is delivered: `feed` returns what
    the chunk had to say first, and the next call raises.
    """

    __slots__ = ("_closed", "_events", "_failure", "_finished", "_read", "_writer")

    def __init__(self, read: ReadDelta, writer: Writer) -> None:
        self._read = read
        self._writer = writer
        self._events = EventReader()
        self._failure: EngineError | None = None
        self._finished = False
        self._closed = False

    def feed(self, chunk: bytes) -> bytes:
        """The client's bytes for what `chunk` completes.

        Raises:
            EngineError: an earlier chunk held an error or something unreadable.
        """
        if self._failure is not None:
            raise self._failure
        parts: list[bytes] = []
        try:
            for event in self._events.feed(chunk):
                if not self._closed:
                    parts.append(self._event(event))
        except EngineError as error:
            self._failure = error
        return b"".join(parts)

    def end(self) -> bytes:
        """The last bytes, once the engine has closed its stream.

        Raises:
            EngineError: what made the stream fail.
            EngineCrashedError: the stream ended before its answer did.
        """
        if self._failure is not None:
            raise self._failure
        if self._closed:
            return b""
        if not self._finished:
            raise EngineCrashedError(
                "the engine closed its stream before the end of the answer", hint="ask again"
            )
        return self._close()

    def _event(self, event: Event) -> bytes:
        if event.data == DONE:
            # Usage comes after the finish reason, so nothing closes before this.
            return self._close() if self._finished else b""
        delta = self._read(_payload(event.data))
        if delta.finish is not None:
            self._finished = True
        return self._writer.write(delta)

    def _close(self) -> bytes:
        self._closed = True
        return self._writer.finish()


def _payload(data: str) -> Mapping[str, Any]:
    try:
        payload = json.loads(data)
    except ValueError:
        raise EngineError(f"the engine sent an event that isn't JSON: {data[:80]!r}") from None
    if not isinstance(payload, dict):
        raise EngineError(f"the engine sent an event that isn't an object: {data[:80]!r}")
    if error := payload.get("error"):
        message = error.get("message") if isinstance(error, dict) else error
        raise EngineError(f"the engine failed while answering: {message}", hint="ask again")
    return payload
