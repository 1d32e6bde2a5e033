"""The little HTTP that the gateway needs on top of ASGI: a request to read, answers to send.

No framework: the byte path is the product, and every layer between the server
and `send` is paid for by each chunk of each stream.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from pilotlight.core import Operation, Surface
from pilotlight.errors import BodyTooLargeError, MalformedBodyError, PilotlightError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[str, str]]

JSON = "application/json"
EVENT_STREAM = "text/event-stream"


class ClientGone(Exception):
    """The client closed the connection; nobody is left to answer."""


class Request:
    """One request: what the client sent, when it arrived, and how to answer it.

    The edge fills in what it learns on the way: whose shape the answer has, which
    model it is for, and whether the caller may be told what only callers may know.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, id: str) -> None:
        self.scope = scope
        self.id = id
        self.arrived_s = time.perf_counter()
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.surface = Surface.OPENAI
        self.operation: Operation | None = None
        self.model = ""
        self.key_id: str | None = None
        self.trusted = False
        self.status: int | None = None
        self.streaming = False
        """An answer of unknown length is under way: an error can still be its last event."""

        self.load_s: float | None = None
        """How long it waited for its model to load; None for one that found it ready."""

        self.quiet = False
        """Its usual answers are no news for the access log."""

        self.error: PilotlightError | None = None
        self.marks: list[tuple[bytes, bytes]] = []
        """Headers of every answer to it, refusals and streams too."""

        self.notes: dict[str, Any] = {}
        """What the access log says of this request beyond method, path and status."""

        self._receive = receive
        self._send = send

    @cached_property
    def headers(self) -> dict[str, str]:
        return {
            name.decode("latin-1"): value.decode("latin-1") for name, value in self.scope["headers"]
        }

    @cached_property
    def query(self) -> dict[str, str]:
        parsed = parse_qs(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        return {name: values[-1] for name, values in parsed.items()}

    @property
    def head_bytes(self) -> int:
        """Address and headers; as large as the client made them."""
        headers: list[tuple[bytes, bytes]] = self.scope["headers"]
        address = len(self.path) + len(self.scope["query_string"])
        return address + sum(len(name) + len(value) for name, value in headers)

    def tail(self, prefix: str) -> str:
        """The path behind `prefix`, decoded once more: model names may hold encoded slashes."""
        return unquote(self.path[len(prefix) :])

    async def body(self, limit_bytes: int) -> bytes:
        """The whole body. Raises BodyTooLargeError before more than the limit is kept."""
        declared = self.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > limit_bytes:
            raise self._too_large(int(declared), limit_bytes)
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part = message.get("body", b"")
            size += len(part)
            if size > limit_bytes:
                raise self._too_large(size, limit_bytes)
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts) if len(parts) > 1 else part

    def _too_large(self, size: int, limit_bytes: int) -> BodyTooLargeError:
        return BodyTooLargeError(
            f"the body has {size} bytes or more, over the limit of {limit_bytes}",
            hint="send less, or raise max_body",
        )

    async def gone(self) -> None:
        """Returns when the client closes the connection. Call it after `body`."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.streaming = all(name != b"content-length" for name, _ in headers)
        headers = [*headers, *self.marks]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send(self, body: bytes, *, more: bool) -> None:
        if not more:
            self.streaming = False
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def answer(
        self, status: int, body: bytes, content_type: str = JSON, headers: Headers = ()
    ) -> None:
        """One whole answer; to a HEAD request only what a GET's would be headed with."""
        await self.start(
            status,
            [
                (b"content-type", content_type.encode()),
                (b"content-length", str(len(body)).encode()),
                (b"x-request-id", self.id.encode()),
                *((name.encode(), value.encode("latin-1", "replace")) for name, value in headers),
            ],
        )
        await self.send(b"" if self.method == "HEAD" else body, more=False)

    async def answer_json(self, status: int, data: Any) -> None:
        await self.answer(status, msgspec.json.encode(data))


def parse_object(body: bytes) -> dict[str, Any]:
    """The body as a JSON object. Raises MalformedBodyError with the position of the mistake."""
    if not body:
        raise MalformedBodyError("the body is empty", hint="send a JSON object")
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBodyError(
            f"the body is not valid JSON: {error}", hint="send a JSON object"
        ) from None
    if not isinstance(data, dict):
        raise MalformedBodyError(
            f"the body is a JSON {type(data).__name__}, expected an object",
            hint='send something like {"model": "…", …}',
        )
    return data


async def until_gone(request: Request, work: Awaitable[None]) -> None:
    """Do `work`, but stop it the moment the client leaves. Raises ClientGone then."""
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(request.gone())
    try:
        await asyncio.wait((doing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
            raise ClientGone
        doing.result()
    finally:
        leaving.cancel()
        if not doing.done():
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
