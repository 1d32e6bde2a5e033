"""Classes with faults that a test of their own answers would never show."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any


class Locked:
    """Holds a lock from a generator's start to its end, as code that shares a device does."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def generate(self, request: dict[str, Any]) -> Iterator[str]:
        with self.lock:
            yield "begun "
            if "gates" in request["messages"][0]:
                entered, leave = request["messages"][0]["gates"]
                with open(entered, "w"), open(leave):
                    """Two named pipes: whoever reads the first and writes the second lets go."""
            yield "ended"

    def predict(self, request: dict[str, Any]) -> Any:
        with self.lock:
            return "held by nobody else"


class Cancels:
    """Awaits a task that was cancelled by somebody else: asyncio passes that on."""

    async def predict(self, request: dict[str, Any]) -> Any:
        if request.get("well"):
            return "well"
        task = asyncio.ensure_future(asyncio.sleep(60))
        asyncio.get_running_loop().call_soon(task.cancel)
        return await task

    async def generate(self, request: dict[str, Any]) -> AsyncIterator[str]:
        yield "begun"
        await self.predict({})


class Deaf:
    """Takes every exception for a hiccup, the order to end among them."""

    def __init__(self) -> None:
        self.told = 0

    async def generate(self, request: dict[str, Any]) -> AsyncIterator[str]:
        while True:
            try:
                await asyncio.sleep(0.001)
            except BaseException:
                pass
            self.told += 1
            yield "x"

    async def predict(self, request: dict[str, Any]) -> Any:
        return self.told


class Unreachable:
    """Fails before its setup is even called."""

    @property
    def setup(self) -> Any:
        raise ValueError("the license is not here")

    def predict(self, request: dict[str, Any]) -> Any:
        return None


class TooLarge:
    """Ends as the kernel ends who takes too much."""

    def setup(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def predict(self, request: Any) -> Any:
        return None


class NoRoom:
    def setup(self) -> None:
        raise MemoryError("can't allocate 7 GiB")

    def predict(self, request: Any) -> Any:
        return None
