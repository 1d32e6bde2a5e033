"""A server that does to a connection whatever a test says, byte by byte."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilotlight.bench.target import Target


@dataclass(slots=True)
class Request:
    """`number` counts all requests of the server, `connection` its connections, both from 0."""

    number: int
    connection: int
    head: str
    body: dict[str, Any]


@dataclass(slots=True)
class Peer:
    """The open connection."""

    writer: asyncio.StreamWriter

    def head(self, *lines: str, status: str = "200 OK") -> None:
        text = "\r\n".join((f"HTTP/1.1 {status}", *lines, "", ""))
        self.writer.write(text.encode())

    def stream(self) -> None:
        self.head("Content-Type: text/event-stream", "Transfer-Encoding: chunked")

    def chunk(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))

    def event(self, tree: dict[str, Any]) -> None:
        self.chunk(b"data: " + json.dumps(tree).encode() + b"\n\n")

    def token(self, text: str) -> None:
        self.event({"choices": [{"index": 0, "delta": {"content": text}}]})

    def finish(self, prompt: int = 3, completion: int = 2) -> None:
        usage = {"prompt_tokens": prompt, "completion_tokens": completion}
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self.event({"choices": [], "usage": usage})
        self.chunk(b"data: [DONE]\n\n")
        self.writer.write(b"0\r\n\r\n")

    def whole(self, status: str, body: bytes) -> None:
        self.head(f"Content-Length: {len(body)}", status=status)
        self.writer.write(body)


Script = Callable[[Request, Peer], Awaitable[None]]


async def two_words(request: Request, peer: Peer) -> None:
    peer.stream()
    peer.token("Hello")
    peer.token(" there")
    peer.finish()


class Hang(Exception):
    """Of a script: this connection ends here."""


@dataclass(slots=True)
class Scripted:
    script: Script
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    url: str = ""

    @property
    def target(self) -> Target:
        return Target(url=self.url, model="m")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.connections = self.connections, self.connections + 1
        self.writers.append(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().partition("content-length: ")[2].split("\r\n")[0])
                body = json.loads(await reader.readexactly(length) or b"{}")
                request = Request(len(self.requests), number, head, body)
                self.requests.append(request)
                await self.script(request, Peer(writer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, Hang):
            pass
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted(
    script: Script = two_words, *, socket: Path | None = None, secure: ssl.SSLContext | None = None
) -> AsyncIterator[Scripted]:
    """On a loopback port, or the Unix `socket`."""
    made = Scripted(script)
    if socket is not None:
        server = await asyncio.start_unix_server(made.serve, str(socket))
        made.url = "http://local"
    else:
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=secure)
        port = server.sockets[0].getsockname()[1]
        made.url = f"http{'s' if secure else ''}://127.0.0.1:{port}"
    try:
        yield made
    finally:
        server.close()
        for writer in made.writers:
            writer.transport.abort()
        await asyncio.sleep(0)
