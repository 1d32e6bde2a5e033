"""HTTP/1.1 in front of a `Service`: as little work per write as Python allows.

It is the upstream of the byte-path benchmark, so it must not be the limit
there: parsing is httptools', each event is one write, and a connection has one
task for its whole life.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import httptools

from pilotlight.testing.answer import Answer, Refusal
from pilotlight.testing.service import Service

MAX_BODY_BYTES = 64 * 2**20

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


@dataclass(frozen=True, slots=True)
class _Request:
    path: str
    body: bytes | None
    authorization: bytes
    keep_alive: bool


class Connection(asyncio.Protocol):
    """One client. When it leaves, the work for it is cancelled and its slot is free."""

    def __init__(
        self, service: Service, secret: str | None, forget: Callable[[Connection], None]
    ) -> None:
        self._service = service
        self._expected = f"Bearer {secret}".encode() if secret is not None else None
        self._forget = forget
        self._parser = httptools.HttpRequestParser(self)
        self._requests: deque[_Request] = deque()
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods without being of the class.
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._serve())

    def connection_lost(self, exc: Exception | None) -> None:
        self._task.cancel()
        self._forget(self)

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            self._transport.close()

    def pause_writing(self) -> None:
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def on_message_begin(self) -> None:
        self._url = b""
        self._authorization = b""
        self._body: list[bytes] = []
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"authorization":
            self._authorization = value

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._size += len(body)
        if self._size > MAX_BODY_BYTES:
            self._transport.abort()

    def on_message_complete(self) -> None:
        request = _Request(
            path=self._url.decode("latin-1").partition("?")[0],
            body=b"".join(self._body) if self._parser.get_method() == b"POST" else None,
            authorization=self._authorization,
            keep_alive=self._parser.should_keep_alive(),
        )
        self._requests.append(request)
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _serve(self) -> None:
        """Requests in order of arrival, so pipelined ones are answered in order too."""
        while True:
            while not self._requests:
                self._news = self._loop.create_future()
                await self._news
            request = self._requests.popleft()
            await self._perform(self._answer(request))
            if not request.keep_alive:
                self._transport.close()
                return

    def _answer(self, request: _Request) -> Answer:
        if not self._allows(request):
            return Refusal(401, "authentication_error", "Invalid API Key").answer()
        return self._service.answer(request.path, request.body)

    def _allows(self, request: _Request) -> bool:
        if self._expected is None or request.path == "/health":
            return True
        return hmac.compare_digest(request.authorization, self._expected)

    async def _perform(self, answer: Answer) -> None:
        if answer.streamed:
            await self._service.perform(answer, _ChunkedWriter(self, answer).write)
            await self.write(b"0\r\n\r\n")
            return
        head = _head(answer) + b"Content-Length: %d\r\n\r\n" % len(answer.body)

        async def write(data: bytes) -> None:
            await self.write(head + data)

        await self._service.perform(answer, write)

    async def write(self, data: bytes) -> None:
        self._transport.write(data)
        if self._room is not None:
            await self._room


class _ChunkedWriter:
    """Each event a chunk and a write of its own; the headers go out with the first."""

    __slots__ = ("_connection", "_head")

    def __init__(self, connection: Connection, answer: Answer) -> None:
        self._connection = connection
        self._head = _head(answer) + b"Transfer-Encoding: chunked\r\n\r\n"

    async def write(self, data: bytes) -> None:
        head, self._head = self._head, b""
        await self._connection.write(b"%b%x\r\n%b\r\n" % (head, len(data), data))


def _head(answer: Answer) -> bytes:
    reason = _REASONS.get(answer.status, "Error")
    return (
        f"HTTP/1.1 {answer.status} {reason}\r\n"
        f"Content-Type: {answer.content_type}\r\nServer: fake\r\n"
    ).encode()
