"""HTTP/1.1 for one trusted client, with nothing but asyncio: keep-alive, chunks, no pipelining."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from .refusal import Refusal, log

_HEAD_BYTES = 65536


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: bytes


Handler = Callable[[Request, "Connection"], Awaitable[None]]


class Connection(asyncio.Protocol):
    """One client. When it leaves, the work for it is cancelled."""

    def __init__(self, handle: Handler, secret: str, forget: Callable[[Connection], None]) -> None:
        self._handle = handle
        self._expected = f"Bearer {secret}".encode()
        self._forget = forget
        self._buffer = bytearray()
        self._head: tuple[str, str, bytes, int] | None = None
        self._work: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._started = False
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        if self._work is not None:
            self._work.cancel()
        self.resume_writing()
        self._forget(self)

    def abort(self) -> None:
        self._transport.abort()

    def pause_writing(self) -> None:
        self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        """Begin the next request if it is all here and the last one is answered."""
        if self._work is not None:
            return
        try:
            self._head = self._head or self._read_head()
        except ValueError:
            self.abort()  # not HTTP: nobody who may talk to us writes such a thing
            return
        if self._head is None or len(self._buffer) < self._head[3]:
            return
        method, path, authorization, length = self._head
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._head = None
        self._work = asyncio.get_running_loop().create_task(
            self._answer(Request(method, path, body), authorization)
        )

    def _read_head(self) -> tuple[str, str, bytes, int] | None:
        end = self._buffer.find(b"\r\n\r\n", 0, _HEAD_BYTES)
        if end < 0:
            if len(self._buffer) >= _HEAD_BYTES:
                raise ValueError("a head without end")
            return None
        first, *lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        method, target, _ = first.split(" ", 2)
        fields = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        length = int(headers.get("content-length", "0"))
        return method, target.partition("?")[0], headers.get("authorization", "").encode(), length

    async def _answer(self, request: Request, authorization: bytes) -> None:
        self._started = False
        try:
            if not hmac.compare_digest(authorization, self._expected):
                raise Refusal(401, "the secret is wrong", code="wrong_secret")
            await self._handle(request, self)
        except Refusal as refusal:
            await self._refuse(refusal)
        except asyncio.CancelledError as error:
            if self._gone:
                raise
            log(error)  # nobody told us to end: the class awaited what somebody had cancelled
            await self._refuse(Refusal(500, "CancelledError in the class itself"))
        self._work = None
        self._next()

    async def _refuse(self, refusal: Refusal) -> None:
        """Before the first byte with its own status; after it, as the stream's last event."""
        error = {"error": refusal.error}
        if self._started:
            await self.event(error)
            await self._write(b"0\r\n\r\n")
        else:
            await self.json(error, refusal.status)

    async def json(self, payload: Any, status: int = 200) -> None:
        """One whole answer."""
        body = json.dumps(payload, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        head = _head(status, "application/json") + b"Content-Length: %d\r\n\r\n" % len(body)
        await self._write(head + body)

    async def event(self, payload: Any) -> None:
        """One event of a stream; the headers go out with the first."""
        text = json.dumps(payload, ensure_ascii=False, allow_nan=False)
        await self._chunk(b"data: %b\n\n" % text.encode("utf-8", "replace"))

    async def done(self) -> None:
        await self._chunk(b"data: [DONE]\n\n")
        await self._write(b"0\r\n\r\n")

    async def _chunk(self, data: bytes) -> None:
        chunk = b"%x\r\n%b\r\n" % (len(data), data)
        if not self._started:
            self._started = True
            chunk = _head(200, "text/event-stream") + b"Transfer-Encoding: chunked\r\n\r\n" + chunk
        await self._write(chunk)

    async def _write(self, data: bytes) -> None:
        if self._gone:  # for code that went on after it was told to end
            raise asyncio.CancelledError
        self._transport.write(data)
        if self._room is not None:
            await self._room


def _head(status: int, content_type: str) -> bytes:
    reason = HTTPStatus(status).phrase
    return f"HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\n".encode()
