"""One answer of the in-memory engine; it remembers how it ended."""

from __future__ import annotations

import asyncio
from collections import deque

from pilotlight.errors import EngineCrashedError


class FakeExchange:
    """`engines.base.Exchange`, with what it was asked, for tests to look at.

    `outcome` is None while it is open, then ``finished`` (all bytes were made),
    ``closed`` (the reader left) or ``broken`` (the engine died).
    """

    retry_after_s: float | None = None

    def __init__(self, path: str, body: bytes | None) -> None:
        self.path = path
        self.body = body
        self.outcome: str | None = None
        self.status = 0
        self.content_type = ""
        self.headers_came = asyncio.get_running_loop().create_future()
        self._chunks: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    async def read(self) -> bytes:
        while not self._chunks:
            if self.outcome == "finished":
                return b""
            if self.outcome is not None:
                raise EngineCrashedError(f"the answer is {self.outcome}")
            self._news.clear()
            await self._news.wait()
        return self._chunks.popleft()

    def close(self) -> None:
        self._end("closed")

    def attend(self, work: asyncio.Task[None]) -> None:
        """`work` makes the answer; it is cancelled when nobody wants it any more."""
        self._work = work

    def begin(self, status: int, content_type: str) -> None:
        self.status = status
        self.content_type = content_type
        if not self.headers_came.done():
            self.headers_came.set_result(None)

    def feed(self, data: bytes) -> None:
        self._chunks.append(data)
        self._news.set()

    def finish(self) -> None:
        self._end("finished")

    def break_off(self) -> None:
        """What had arrived can still be read; then comes EngineCrashedError."""
        self._end("broken")

    def _end(self, outcome: str) -> None:
        if self.outcome is not None:
            return
        self.outcome = outcome
        self._news.set()
        if self._work is not None and outcome != "finished":
            self._work.cancel()
        if not self.headers_came.done():
            error = EngineCrashedError(f"the answer is {outcome} before its headers")
            self.headers_came.set_exception(error)
            self.headers_came.exception()  # seen, even when nobody waits any more
