"""HTTP on the seat's socket: the secret, JSON both ways, events, and clients that leave."""

from __future__ import annotations

import asyncio
import hmac
import json
import sys
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from .refusal import Refusal

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Events:
    """An answer in many: each item becomes one event, then comes the mark of the end."""

    items: AsyncGenerator[dict[str, Any]]


Answer = dict[str, Any] | Events
Handler = Callable[[dict[str, Any]], Awaitable[Answer]]


class Application:
    """Handlers by method and path; a handler is cancelled when its client leaves."""

    def __init__(self, routes: Mapping[tuple[str, str], Handler], secret: str) -> None:
        self._routes = routes
        self._secret = f"Bearer {secret}".encode()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            handler = self._admit(scope)
            body = await _body(scope["method"], receive)
        except Refusal as refusal:
            await _reply(send, refusal.status, refusal.as_json())
            return
        answering = asyncio.ensure_future(_answer(handler, body, send))
        leaving = asyncio.ensure_future(_left(receive))
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        for task in (answering, leaving):
            task.cancel()
        await asyncio.gather(answering, leaving, return_exceptions=True)

    def _admit(self, scope: dict[str, Any]) -> Handler:
        given = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(given, self._secret):
            raise Refusal("the secret is missing or wrong", kind="secret_refused", status=401)
        handler = self._routes.get((scope["method"], scope["path"]))
        if handler is None:
            raise Refusal(f"there is no {scope['path']!r} here", kind="unsupported", status=404)
        return handler


async def _body(method: str, receive: Receive) -> dict[str, Any]:
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    if method == "GET":
        return {}
    try:
        body = json.loads(b"".join(parts))
    except ValueError as error:
        raise Refusal(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Refusal("the body is no JSON object")
    return body


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(handler: Handler, body: dict[str, Any], send: Send) -> None:
    try:
        answer = await handler(body)
    except Exception as error:
        refusal = _refusal(error)
        await _reply(send, refusal.status, refusal.as_json())
        return
    if isinstance(answer, Events):
        await _stream(send, answer)
    else:
        await _reply(send, 200, answer)


def _refusal(error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    traceback.print_exception(error, file=sys.stderr)
    return Refusal(f"{type(error).__name__}: {error}", kind="engine", status=500)


async def _reply(send: Send, status: int, document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    await _head(send, status, "application/json", len(body))
    await send({"type": "http.response.body", "body": body})


async def _head(send: Send, status: int, content_type: str, length: int | None = None) -> None:
    headers = [(b"content-type", content_type.encode())]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _stream(send: Send, events: Events) -> None:
    """The head goes out with the first event, so that a refusal before it has its status."""
    begun = False
    async with aclosing(events.items) as items:
        try:
            async for item in items:
                if not begun:
                    await _head(send, 200, "text/event-stream; charset=utf-8")
                    begun = True
                await _event(send, json.dumps(item))
        except Exception as error:
            refusal = _refusal(error)
            if not begun:
                await _reply(send, refusal.status, refusal.as_json())
                return
            await _event(send, json.dumps(refusal.as_json()), more=False)
            return
    await _event(send, "[DONE]", more=False)


async def _event(send: Send, data: str, *, more: bool = True) -> None:
    body = f"data: {data}\n\n".encode()
    await send({"type": "http.response.body", "body": body, "more_body": more})
