"""Requests one after the other over real sockets, some of them left half-way; for the ledger.

Each has an id of its own, which the gateway keeps as the request's and the engine finds at the end
of the prompt. A connection that a killed server closed is made anew; its request is not sent again.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.counting_engine import ID_PREFIX

_END = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as sent, and what the client saw of its answer."""

    id: str
    key: str
    max_tokens: int
    status: int
    """0 where no answer began."""

    whole: bool
    left: bool
    """The client went away, of its own will."""

    events: int
    """Events with text that it read."""


@dataclass(slots=True)
class Asker:
    """One client with one connection; `take` gives the next id, or None at the end."""

    port: int
    keys: tuple[str, ...]
    take: Callable[[], int | None]
    draw: random.Random
    share_left: float

    async def run(self) -> list[Asked]:
        made: list[Asked] = []
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while (number := self.take()) is not None:
            connection = connection or await self._connect()
            asked = await self._ask(number, *connection)
            made.append(asked)
            if not asked.whole:
                connection[1].close()
                connection = None
        if connection is not None:
            connection[1].close()
        return made

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)  # it was killed and comes again

    async def _ask(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Asked:
        draw = self.draw
        key = draw.randrange(len(self.keys))
        max_tokens = draw.randint(1, 12)
        stream = draw.random() < 0.7
        leave_after = draw.randint(0, 8) if draw.random() < self.share_left else None
        writer.write(_request(f"{ID_PREFIX}{number}", self.keys[key], draw, max_tokens, stream))
        seen = _Seen()
        try:
            await asyncio.wait_for(seen.read(reader, leave_after), 60)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            seen.whole = False
        left = not seen.whole and leave_after is not None and seen.left
        return Asked(
            f"{ID_PREFIX}{number}",
            self.keys[key],
            max_tokens,
            seen.status,
            seen.whole,
            left,
            seen.events,
        )


@dataclass(slots=True)
class _Seen:
    """What came of one answer."""

    status: int = 0
    events: int = 0
    whole: bool = False
    left: bool = False

    async def read(self, reader: asyncio.StreamReader, leave_after: int | None) -> None:
        """Until its end, or until so many events with text were there."""
        if leave_after == 0:
            self.left = True
            return
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        self.status = int(head.split()[1])
        if b"content-length:" in head:
            size = int(head.partition(b"content-length:")[2].split()[0])
            await reader.readexactly(size)
            self.whole = self.status == 200
            return
        await self._events(reader, leave_after)

    async def _events(self, reader: asyncio.StreamReader, leave_after: int | None) -> None:
        data = b""
        while not data.endswith(_END):
            piece = await reader.read(65536)
            if not piece:
                raise asyncio.IncompleteReadError(data, None)
            data += piece
            self.events = data.count(b'"content":"') + data.count(b'"text":"')
            if leave_after is not None and self.events >= leave_after:
                self.left = True
                return
        self.whole = b"data: [DONE]" in data


def _request(id: str, key: str, draw: random.Random, max_tokens: int, stream: bool) -> bytes:
    model = draw.choice(("asked", "always", "always:tuned"))
    body: dict[str, object] = {
        "model": model, "max_tokens": max_tokens, "ignore_eos": True, "stream": stream,
    }  # fmt: skip
    words = " ".join(["word"] * draw.randint(1, 30))
    chat = draw.random() < 0.8
    if chat:
        body["messages"] = [{"role": "user", "content": f"{words} {id}"}]
    else:
        body["prompt"] = f"{words} {id}"
    payload = json.dumps(body).encode()
    path = "/v1/chat/completions" if chat else "/v1/completions"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"X-Request-Id: {id}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload
