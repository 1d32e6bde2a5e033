"""Looks at answers that come over a network: are they what the API promises, and whole?

An engine of our own is trusted with its bytes; a stranger's may be a captive portal, a
proxy's error page or a stream cut off in silence, and a client would take that for an answer.
The bytes themselves are passed on as they came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from pilotlight.errors import EngineAnswerError

SHOWN_BYTES = 80
LONGEST_LINE_BYTES = 16 * 2**20
"""One event may hold a picture; a stranger's endless line must not fill this machine's memory."""

LONGEST_ANSWER_BYTES = 256 * 2**20
_FIELDS = (b"data", b"event", b"id", b"retry", b"")
_DONE = b"[DONE]"
_LAST_EVENTS = frozenset({
    "message_stop", "response.completed", "response.incomplete", "response.failed", "error",
})  # fmt: skip


class Check(Protocol):
    """Sees every byte of one answer; raises EngineAnswerError for what can't be one."""

    def feed(self, chunk: bytes) -> None: ...

    def end(self) -> None: ...


class WholeCheck:
    """One JSON document."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._bytes = 0

    def feed(self, chunk: bytes) -> None:
        self._parts.append(chunk)
        self._bytes += len(chunk)
        if self._bytes > LONGEST_ANSWER_BYTES:
            raise _garbage("its answer has no end", self._parts[0])

    def end(self) -> None:
        body = b"".join(self._parts)
        if not isinstance(_decode(body), dict | list):
            raise _garbage("its answer is no JSON object", body)


class _Lines:
    """A byte stream cut into lines, however its chunks are cut."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        self._held.append(chunk)
        self._held_bytes += len(chunk)
        if b"\n" not in chunk:  # joined once its end is here: else a long line costs its square
            if self._held_bytes > LONGEST_LINE_BYTES:
                raise _garbage("its stream holds a line without end", self._held[0])
            return []
        *lines, rest = b"".join(self._held).split(b"\n")
        self._held, self._held_bytes = [rest], len(rest)
        return [line.rstrip(b"\r") for line in lines]

    def rest(self) -> bytes:
        return b"".join(self._held)


class EventsCheck:
    """Server-sent events of JSON data, up to the one that says the answer is whole."""

    def __init__(self) -> None:
        self._lines = _Lines()
        self._finished = False

    def feed(self, chunk: bytes) -> None:
        for line in self._lines.feed(chunk):
            self._see(line)

    def _see(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        if field not in _FIELDS:
            raise _garbage("its stream holds what is no event", line)
        data = value.strip()
        if field != b"data" or not data:
            return
        if data == _DONE:
            self._finished = True
            return
        event = _decode(data)
        if not isinstance(event, dict):
            raise _garbage("its stream holds an event that is no JSON object", data)
        # An error is the end of a stream, and has its own words for the client.
        self._finished |= event.get("type") in _LAST_EVENTS or bool(event.get("error"))

    def end(self) -> None:
        if not self._finished:
            raise EngineAnswerError(
                "the remote engine closed its stream before the end of the answer",
                hint="ask again; what came before is not the whole answer",
            )


class RowsCheck:
    """Newline-delimited JSON objects, as Ollama streams them."""

    def __init__(self) -> None:
        self._lines = _Lines()

    def feed(self, chunk: bytes) -> None:
        for line in self._lines.feed(chunk):
            self._see(line)

    def _see(self, line: bytes) -> None:
        if line and not isinstance(_decode(line), dict):
            raise _garbage("its stream holds a line that is no JSON object", line)

    def end(self) -> None:
        self._see(self._lines.rest())


CHECKS: Mapping[str, Callable[[], Check]] = {
    "application/json": WholeCheck,
    "text/event-stream": EventsCheck,
    "application/x-ndjson": RowsCheck,
}


def check_for(content_type: str) -> Check:
    """The check for an answer with status 200. Raises EngineAnswerError for no API's type."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in CHECKS:
        raise EngineAnswerError(
            f"the remote engine answered with {kind or 'no content type'!r}, not with JSON",
            hint="is that address a model server's? Compare base_url or host with its manual",
        )
    return CHECKS[kind]()


def _decode(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _garbage(what: str, data: bytes) -> EngineAnswerError:
    shown = data[:SHOWN_BYTES].decode(errors="replace")
    return EngineAnswerError(f"the remote engine can't be understood: {what}: {shown!r}")
