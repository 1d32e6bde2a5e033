"""A server of one file over plain sockets, which does to each request what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_RANGE = re.compile(r"(?i)range: bytes=(\d+)-(\d*)")
_IF_RANGE = re.compile(r"(?i)if-range: (\S+)")
_BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Asked:
    """`number` counts requests from 0; `end` is None for all there is."""

    number: int
    path: str
    start: int
    end: int | None
    head: str

    @property
    def ranged(self) -> bool:
        return _RANGE.search(self.head) is not None


@dataclass(frozen=True)
class Answer:
    """A whole answer to one request, right in everything that isn't given."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Another body than the bytes asked for."""

    cut_after: int | None = None
    """Close the connection after so many bytes."""

    hold_after: int | None = None
    """Send so many bytes, and the rest never."""

    ranges: bool = True
    sized: bool = True
    content_range: str | None = None


Behave = Callable[[Asked], Answer]


class FaultOrigin:
    def __init__(self, body: bytes, behave: Behave) -> None:
        self.body, self.behave = body, behave
        self.etag = '"one"'
        self.url = ""
        self.asked: list[Asked] = []
        self.sent_bytes = 0
        self.active = 0
        """Requests that are being answered."""

        self.most_connections = 0
        self.on_sent: Callable[[int], None] = lambda sent_bytes: None
        self._connections = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._over = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        self._writers.add(writer)
        self.most_connections = max(self.most_connections, self._connections)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            going_on = True
            while going_on:
                head = await reader.readuntil(b"\r\n\r\n")
                self.active += 1
                try:
                    going_on = await self._answer(head.decode(), writer)
                finally:
                    self.active -= 1
        self._connections -= 1
        self._writers.discard(writer)
        writer.close()

    def hang_up(self) -> None:
        self._over.set()
        for writer in self._writers:
            writer.transport.abort()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> bool:
        """One answer; whether the connection may be used again."""
        match = _RANGE.search(head)
        start = int(match[1]) if match else 0
        end = int(match[2]) + 1 if match and match[2] else None
        asked = Asked(len(self.asked), head.split()[1], start, end, head)
        self.asked.append(asked)
        answer = self.behave(asked)
        status, headers, body = self._made(asked, answer)
        lines = [f"HTTP/1.1 {status} X", *(f"{key}: {value}" for key, value in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        end = next((n for n in (answer.cut_after, answer.hold_after) if n is not None), len(body))
        await self._send(body[:end], writer)
        if answer.hold_after is not None:
            await self._over.wait()
        return answer.cut_after is None and answer.sized

    def _made(self, asked: Asked, answer: Answer) -> tuple[int, dict[str, str], bytes]:
        condition = _IF_RANGE.search(asked.head)
        changed = condition is not None and condition[1] != self.etag
        ranged = asked.ranged and answer.ranges and not changed
        whole = self.body if answer.body is None else answer.body
        status = answer.status or (206 if ranged else 200)
        body = b"" if status >= 300 else whole
        headers = {"ETag": self.etag}
        if status == 206 and answer.body is None:
            body = whole[asked.start : asked.end]
            last = asked.start + len(body) - 1
            headers["Content-Range"] = f"bytes {asked.start}-{last}/{len(whole)}"
        if answer.content_range is not None:
            headers["Content-Range"] = answer.content_range
        headers |= {"Content-Length": str(len(body))} if answer.sized else {"Connection": "close"}
        return status, headers | answer.headers, body

    async def _send(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(body), _BLOCK_BYTES):
            block = body[start : start + _BLOCK_BYTES]
            writer.write(block)
            await writer.drain()
            self.sent_bytes += len(block)
            self.on_sent(self.sent_bytes)


@asynccontextmanager
async def fault_origin(body: bytes, behave: Behave | None = None) -> AsyncIterator[FaultOrigin]:
    origin = FaultOrigin(body, behave or (lambda asked: Answer()))
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
    origin.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/model.gguf"
    try:
        yield origin
    finally:
        server.close()
        origin.hang_up()
        await asyncio.sleep(0)
