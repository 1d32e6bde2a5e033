"""HTTP/1 on one connection: uvicorn's protocol, with bounds and without a few of its gaps.

It leans on uvicorn's inner names; tests/gateway/test_edge.py fails where they change.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from pilotlight.gateway.app import HEAD_BYTES

HEAD_S = 60.0
"""What a client has for address and headers, from connecting or their first byte; nginx's bound."""

LAST_FLUSH_S = 2.0
"""At shutdown, what a client has to take the bytes that are left."""

PIPELINED = 16
"""Requests behind the one being answered; the next ones stay in the kernel's buffer."""

_TOO_LARGE = b"address and headers are too large\n"


class EdgeProtocol(HttpToolsProtocol):
    head_s = HEAD_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unanswered: list[RequestResponseCycle] = []
        """More than one for a client that pipelines; only the first has a task."""

        self._overhead_bytes = 0
        """Received since the parser last gave out a head or a piece of a body: it keeps them."""

        self._in_head = False
        self._refused = False
        self._timer: asyncio.TimerHandle | None = None
        self._flush: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """uvicorn tells the last request only; the one being answered must hear of it too."""
        super().connection_lost(exc)
        self._cancel_timer()
        if self._flush is not None:
            self._flush.cancel()
        for cycle in self._open_cycles():
            cycle.disconnected = True
            cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._overhead_bytes += len(data)
        super().data_received(data)
        if self._overhead_bytes > HEAD_BYTES and not self.transport.is_closing():
            self._refuse_overhead()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        if self._timer is None:
            self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """uvicorn takes a chunked body's trailers for headers, after those were looked at."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._overhead_bytes = 0
        self._cancel_timer()
        super().on_headers_complete()
        self._unanswered = [*self._open_cycles(), self.cycle]
        if self.scope["http_version"] == "1.0":
            # uvicorn makes its cycles itself; this one's task has not run yet.
            self.cycle.__class__ = _UnchunkedCycle
        if self.pipeline and len(self.pipeline) < PIPELINED:
            # Else a client that leaves now isn't noticed until its first answer is made.
            self.flow.resume_reading()

    def on_body(self, body: bytes) -> None:
        self._overhead_bytes = 0
        super().on_body(body)

    def shutdown(self) -> None:
        """uvicorn waits for a client that takes its bytes; one that doesn't is cut off."""
        super().shutdown()
        self._cut_later()

    def cut(self) -> None:
        """Drop the connection now; requests on it see a client that left."""
        self.transport.abort()

    def _cut_later(self) -> None:
        self._flush = self.loop.call_later(LAST_FLUSH_S, self.cut)

    def _open_cycles(self) -> list[RequestResponseCycle]:
        return [cycle for cycle in self._unanswered if not cycle.response_complete]

    def _expect_head(self) -> None:
        self._timer = self.loop.call_later(self.head_s, self._head_is_late)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_is_late(self) -> None:
        if self._open_cycles():
            self._expect_head()  # an answer is still on its way to a client that pipelines
        else:
            self.cut()

    def _refuse_overhead(self) -> None:
        """Answered, and then read on for a while: closed at once, the client's kernel would
        throw the answer away for the bytes that nobody took."""
        if self._open_cycles():
            self.cut()  # in the middle of an exchange there is no place for another answer
            return
        self._refused = True
        self._cancel_timer()
        length = str(len(_TOO_LARGE)).encode()
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
            b"content-type: text/plain; charset=utf-8\r\n"
            b"content-length: " + length + b"\r\nconnection: close\r\n\r\n" + _TOO_LARGE
        )
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._cut_later()


class _UnchunkedCycle(RequestResponseCycle):
    """HTTP/1.0 knows no chunks: an answer of unknown length ends with its connection."""

    open_ended = False

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.open_ended = all(name != b"content-length" for name, _ in message["headers"])
            if self.open_ended:
                self.chunked_encoding = False
        elif self.open_ended:
            self.expected_content_length = len(message["body"])
        await super().send(message)
