"""HTTP/1.1 to one engine over its Unix socket: the half of the byte path behind the gateway.

A general client parses headers into objects and wraps every chunk in streams;
here a chunk goes from the kernel to `read` untouched, and all that has arrived
since the last `read` comes back as one. Measured in benchmarks/byte_path.py.
"""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path

import httptools

from pilotlight.engines.base import read_whole
from pilotlight.errors import EngineCrashedError

BUFFER_BYTES = 256 * 1024
"""Read ahead of a slow client by at most this much, then let the engine wait."""


class _Exchange:
    """One answer arriving on one connection; see `engines.base.Exchange`."""

    __slots__ = (
        "_buffered", "_chunks", "_connection", "_done", "_error", "_headers", "_waiter",
        "content_type", "status",
    )  # fmt: skip

    retry_after_s: float | None = None

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._done = False
        self._error: EngineCrashedError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._headers: asyncio.Future[None] = connection.loop.create_future()
        self.status = 0
        self.content_type = ""

    async def read(self) -> bytes:
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._done:
                return b""
            self._waiter = self._connection.loop.create_future()
            await self._waiter
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        if self._buffered > BUFFER_BYTES:
            self._connection.resume()
        self._buffered = 0
        return data

    def close(self) -> None:
        if not self._done and self._error is None:
            self._connection.abort()

    async def headers(self) -> None:
        await self._headers

    def feed(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._buffered += len(chunk)
        if self._buffered > BUFFER_BYTES:
            self._connection.pause()
        self._wake()

    def begin(self, status: int, content_type: str) -> None:
        self.status = status
        self.content_type = content_type
        if not self._headers.done():
            self._headers.set_result(None)

    def finish(self) -> None:
        self._done = True
        self._wake()

    def fail(self, error: EngineCrashedError) -> None:
        if self._done:
            return
        self._error = error
        if not self._headers.done():
            self._headers.set_exception(error)
            self._headers.exception()  # seen, even when the client left first
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Connection(asyncio.Protocol):
    """One keep-alive connection: the parser's callbacks feed the exchange under way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: deque[_Connection]) -> None:
        self.loop = loop
        self.used = False
        self.open = True
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._exchange: _Exchange | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._content_type = ""
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def send(self, head: bytes, body: bytes) -> _Exchange:
        assert self._transport is not None
        self._exchange = exchange = _Exchange(self)
        self._answered = False
        self._transport.write(head + body)
        return exchange

    @property
    def answered(self) -> bool:
        return self._answered

    def data_received(self, data: bytes) -> None:
        self._answered = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"the engine's answer is not HTTP: {error}")
            self.abort()

    def on_message_begin(self) -> None:
        self._content_type = ""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self._content_type = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._exchange is not None:
            self._exchange.begin(self._parser.get_status_code(), self._content_type)

    def on_body(self, body: bytes) -> None:
        if self._exchange is not None:
            self._exchange.feed(body)

    def on_message_complete(self) -> None:
        exchange, self._exchange = self._exchange, None
        if self._parser.should_keep_alive() and self.open:
            self.used = True
            self.resume()
            self._pool.append(self)
        else:
            self.abort()
        if exchange is not None:
            exchange.finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self in self._pool:
            self._pool.remove(self)
        self._fail("the engine closed the connection before the end of its answer")

    def _fail(self, message: str) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.fail(EngineCrashedError(message))

    def abort(self) -> None:
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()


class SocketClient:
    """`engines.base.EngineClient` over a Unix socket; connections are kept and reused.

    A number instead of a path is a TCP port on loopback, for programs that know no other.
    """

    def __init__(self, address: Path | int, secret: str) -> None:
        self._address = address
        self._idle: deque[_Connection] = deque()
        self._heads: dict[tuple[str, bool], bytes] = {}
        self._common = f"Host: engine\r\nAuthorization: Bearer {secret}\r\n".encode()

    def _head(self, path: str, body: bytes | None) -> bytes:
        kind = (path, body is None)
        head = self._heads.get(kind)
        if head is None:
            method = "GET" if body is None else "POST"
            head = f"{method} {path} HTTP/1.1\r\n".encode() + self._common
            self._heads[kind] = head
        if body is None:
            return head + b"\r\n"
        return b"%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (head, len(body))

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            connection = await self._connected(loop)
        except OSError as error:
            raise EngineCrashedError(f"nobody listens on the engine's socket: {error}") from None
        return connection

    async def _connected(self, loop: asyncio.AbstractEventLoop) -> _Connection:
        def make() -> _Connection:
            return _Connection(loop, self._idle)

        if isinstance(self._address, int):
            _, connection = await loop.create_connection(make, "127.0.0.1", self._address)
        else:
            _, connection = await loop.create_unix_connection(make, str(self._address))
        return connection

    def _pop_idle(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                return connection
        return None

    async def open(self, path: str, body: bytes | None = None) -> _Exchange:
        head, payload = self._head(path, body), body or b""
        connection = self._pop_idle() or await self._connect()
        try:
            return await self._ask(connection, head, payload)
        except EngineCrashedError:
            # A server may close an idle connection just as it is reused; nothing of an
            # answer arrived, so asking again on a fresh one can't repeat any work.
            if not connection.used or connection.answered:
                raise
        return await self._ask(await self._connect(), head, payload)

    async def _ask(self, connection: _Connection, head: bytes, body: bytes) -> _Exchange:
        exchange = connection.send(head, body)
        try:
            await exchange.headers()
        except asyncio.CancelledError:
            exchange.close()  # not the connection: with the answer whole it may be another's by now
            raise
        return exchange

    async def fetch(
        self, path: str, body: bytes | None = None, *, timeout_s: float = 10.0
    ) -> tuple[int, bytes]:
        async with asyncio.timeout(timeout_s):
            exchange = await self.open(path, body)
            return exchange.status, await read_whole(exchange)

    async def close(self) -> None:
        while self._idle:
            self._idle.pop().abort()
