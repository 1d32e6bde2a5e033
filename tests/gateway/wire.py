"""A house behind real TCP, in the test's own event loop: what only bytes on a socket can show."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pilotlight.gateway.serve import listen
from pilotlight.gateway.server import Server, make_server

from .house import Street

PATIENCE_S = 10.0


class Connection:
    """One TCP connection that sends what no HTTP library would."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, *pieces: bytes) -> None:
        self.writer.write(b"".join(pieces))

    async def until(self, mark: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.readuntil(mark)

    async def answer(self) -> tuple[int, Any]:
        """Status and JSON of the next whole answer."""
        head = await self.until(b"\r\n\r\n")
        [length] = re.findall(rb"content-length: (\d+)", head)
        async with asyncio.timeout(PATIENCE_S):
            body = await self._reader.readexactly(int(length))
        return int(head.split()[1]), json.loads(body)

    async def rest(self) -> bytes:
        """Everything until the server closes; a reset counts as closing."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    async def leave(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (ConnectionResetError, BrokenPipeError):
            pass


class Wire:
    def __init__(self, port: int, server: Server, serving: asyncio.Task[None]) -> None:
        self.server = server
        self.serving = serving
        self._port = port
        self._dialled: list[Connection] = []

    async def dial(self) -> Connection:
        connection = Connection(*await asyncio.open_connection("127.0.0.1", self._port))
        self._dialled.append(connection)
        return connection

    async def hang_up(self) -> None:
        for connection in self._dialled:
            await connection.leave()


@asynccontextmanager
async def wired(s: Street) -> AsyncIterator[Wire]:
    listener = listen("127.0.0.1", 0)
    server = make_server(s.house.app, s.settings)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    wire = Wire(listener.getsockname()[1], server, serving)
    try:
        yield wire
    finally:
        await wire.hang_up()
        server.cut()
        await serving


def chat(version: str = "1.1", **fields: Any) -> bytes:
    """A chat as bytes."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    body = json.dumps(asked).encode()
    head = f"POST /v1/chat/completions HTTP/{version}\r\nhost: localhost\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body


async def eventually(look: Callable[[], bool]) -> None:
    """Until `look` is true: sockets of one loop take a few turns of it."""
    async with asyncio.timeout(PATIENCE_S):
        while not look():
            await asyncio.sleep(0)
