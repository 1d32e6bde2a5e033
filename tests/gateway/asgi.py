"""A client that speaks ASGI to the gateway in the same event loop; it can leave half-way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pilotlight.gateway.app import Gateway
from pilotlight.testing import settle


class Call:
    """One request under way. Await `done`, or look at what has come so far."""

    def __init__(
        self, app: Gateway, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self.ended = False
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._inbox.put_nowait({"type": "http.request", "body": body, "more_body": False})
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "client": ("127.0.0.1", 50000),
            "headers": [
                (name.lower().encode(), value.encode())
                for name, value in {"host": "localhost:8080", **headers}.items()
            ],
        }
        self._deliver: Callable[[Any], Awaitable[None]] = self._take
        self.task = asyncio.create_task(app(scope, self._inbox.get, self._send))

    async def _send(self, message: Any) -> None:
        await self._deliver(message)

    def block(self, deliver: Callable[[Any], Awaitable[None]]) -> None:
        """Take what comes in another way, such as not at all."""
        self._deliver = deliver

    async def _take(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            assert self.status is None, "two answers to one request"
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            return
        assert self.status is not None, "a body before its status"
        assert not self.ended, "bytes after the end"
        if message["body"]:
            self.chunks.append(message["body"])
        self.ended = not message.get("more_body", False)

    def leave(self) -> None:
        """As a client that closes its connection."""
        self._inbox.put_nowait({"type": "http.disconnect"})

    async def done(self) -> Call:
        await asyncio.wait_for(self.task, 10)
        return self

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The data of the stream's events, decoded but for ``[DONE]``."""
        found = []
        for block in self.body.decode().split("\n\n"):
            for line in block.splitlines():
                if line.startswith("data: "):
                    data = line.removeprefix("data: ")
                    found.append(data if data == "[DONE]" else json.loads(data))
        return found

    @property
    def text(self) -> str:
        """What a streamed chat said."""
        pieces = (
            choice["delta"].get("content") or ""
            for event in self.events
            if isinstance(event, dict)
            for choice in event.get("choices", ())
        )
        return "".join(pieces)


class Client:
    """Calls to one gateway."""

    def __init__(self, app: Gateway, headers: Mapping[str, str] | None = None) -> None:
        self.app = app
        self.headers = dict(headers or {})

    def begin(
        self, method: str, path: str, data: Any = None, headers: Mapping[str, str] | None = None
    ) -> Call:
        raw = (
            data if isinstance(data, bytes) else b"" if data is None else json.dumps(data).encode()
        )
        return Call(self.app, method, path, raw, {**self.headers, **(headers or {})})

    async def post(self, path: str, data: Any, headers: Mapping[str, str] | None = None) -> Call:
        return await self.begin("POST", path, data, headers).done()

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Call:
        return await self.begin("GET", path, None, headers).done()

    def chat(self, model: str = "m", text: str = "hello there", **fields: Any) -> Call:
        """A chat under way."""
        messages = [{"role": "user", "content": text}]
        return self.begin(
            "POST", "/v1/chat/completions", {"model": model, "messages": messages, **fields}
        )


async def turn() -> None:
    """Let everything that can run do so."""
    await settle()
