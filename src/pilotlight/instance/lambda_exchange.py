"""One invocation as the gateway sees it: an ASGI request that ends before Lambda ends it."""

from __future__ import annotations

import asyncio
from typing import Any

from pilotlight.errors import AnswerTooLargeError, PilotlightError, RuntimeApiError
from pilotlight.gateway.http import Message
from pilotlight.instance.lambda_answer import Answer

Marks = list[tuple[bytes, bytes]]


class Exchange:
    """`receive` and `send` of one request.

    Once it is cut, the gateway sees a client that left: it frees the engine's slot and says
    nothing more. What the real client is told then is for whoever cut it.
    """

    def __init__(self, body: bytes, answer: Answer, marks: Marks) -> None:
        self._body: bytes | None = body
        self._answer = answer
        self._marks = marks
        self.status: int | None = None
        self.open_ended = False
        """An answer of unknown length is under way: an error can still be its last event."""

        self.complete = False
        self.why: PilotlightError | None = None
        """What it was cut for."""

        self.cut_off = asyncio.Event()

    def cut(self, why: PilotlightError) -> None:
        """The first reason counts, and none does for an answer that is whole already."""
        if self.why is None and not self.complete:
            self.why = why
            self.cut_off.set()

    async def receive(self) -> Message:
        if self._body is None or self.why is not None:
            await self.cut_off.wait()
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if self.why is not None:
            return
        try:
            await self._send(message)
        except (RuntimeApiError, AnswerTooLargeError) as error:
            self.cut(error)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._begin(message["status"], message["headers"])
            return
        if message["body"]:
            await self._answer.write(message["body"])
        if not message.get("more_body", False):
            self.complete = True

    async def _begin(self, status: int, headers: Any) -> None:
        self.status = status
        self.open_ended = all(name != b"content-length" for name, _ in headers)
        await self._answer.begin(status, [*headers, *self._marks])
