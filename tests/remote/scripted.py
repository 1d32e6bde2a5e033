"""A remote endpoint that does as it is told: well, badly, slowly or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

Behave = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]

MODELS = {"object": "list", "data": [{"id": "big-one", "object": "model"}]}


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def head(status: int, content_type: str, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Told", f"Content-Type: {content_type}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def whole(status: int, body: bytes, content_type: str = "application/json", **more: str) -> Behave:
    """One answer with its length."""

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(status, content_type, Content_Length=str(len(body)), **more) + body)

    return behave


def says(data: Any, status: int = 200, **more: str) -> Behave:
    return whole(status, json.dumps(data).encode(), **more)


def stream(*parts: bytes, ended: bool = True) -> Behave:
    """Chunks of an event stream; without `ended` the connection closes inside the body."""

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "text/event-stream", Transfer_Encoding="chunked"))
        for part in parts:
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
        if ended:
            writer.write(b"0\r\n\r\n")

    return behave


async def silence(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Takes the request and says nothing, for ever."""
    await asyncio.Event().wait()


async def hang_up(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Closes before it has said anything."""


async def no_http(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")


def event(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def delta(text: str, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return event({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "big-one",
                  "choices": [choice], **more})  # fmt: skip


def finish() -> bytes:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    return event({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "big-one",
                  "choices": [choice]})  # fmt: skip


DONE = b"data: [DONE]\n\n"


def answer(text: str = "hello", prompt: int = 9, completion: int = 3) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "big-one",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
    }


class Endpoint:
    """What it was asked, and what it does next; its list of models is always right."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.behave: Behave = says(answer())
        self.models: Behave = says(MODELS)
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def posts(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == "POST"]

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            asked = await _read(reader)
            self.asked.append(asked)
            behave = self.models if asked.method == "GET" else self.behave
            await behave(asked, writer)
            await writer.drain()
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked:
    text = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = text.split("\r\n")
    method, path, _ = first.split(" ")
    headers = dict(line.lower().split(": ", 1) for line in lines if line)
    # Values keep their case: the key is one of them.
    kept = {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in lines if line}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, kept, body)


@asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint()
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
