"""Server-sent events: cut a stream at event boundaries, and read the events of one.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

from dataclasses import dataclass

DONE = "[DONE]"
"""OpenAI's last data line."""


def comment(text: str = "keep-alive") -> bytes:
    """A comment event: every client skips it, and it keeps the connection from idling out.

    Raises:
        ValueError: for a text with a line break, which would end the comment.
    """
    if "\n" in text or "\r" in text:
        raise ValueError(f"a comment is one line, not {text!r}")
    return b": " + text.encode() + b"\n\n"


COMMENT = comment()


class Framer:
    """Passes a byte stream on in whole events, so that something may be said in between.

    Engines write whole events, so nearly every chunk is returned as it came.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes up to the last event boundary so far; the rest waits for more."""
        if not self._held and chunk.endswith((b"\n\n", b"\r\n\r\n")):
            return chunk
        data = self._held + chunk
        cut = max(_after(data, b"\n\n"), _after(data, b"\r\n\r\n"))
        self._held = data[cut:]
        return data[:cut]

    def end(self) -> bytes:
        """What is left when the stream is over: nothing, unless it ended inside an event."""
        held, self._held = self._held, b""
        return held


def _after(data: bytes, boundary: bytes) -> int:
    at = data.rfind(boundary)
    return at + len(boundary) if at >= 0 else 0


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its data lines joined, its name where it has one."""

    data: str
    name: str | None = None


class EventReader:
    """Incremental reader of events; comments, ids and retry times are skipped."""

    __slots__ = ("_data", "_held", "_name")

    def __init__(self) -> None:
        self._held = b""
        self._data: list[str] = []
        self._name: str | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes."""
        data = self._held + chunk
        # A carriage return at the very end may be half of \r\n: wait for the other half.
        end = len(data) - 1 if data.endswith(b"\r") else len(data)
        whole = data[:end].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = whole.split(b"\n")
        self._held = lines.pop() + data[end:]
        found = (self._line(line) for line in lines)
        return [event for event in found if event is not None]

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", "replace")
        if field == b"data":
            self._data.append(text)
        elif field == b"event":
            self._name = text
        return None

    def _dispatch(self) -> Event | None:
        data, name = self._data, self._name
        self._data, self._name = [], None
        return Event("\n".join(data), name) if data else None
