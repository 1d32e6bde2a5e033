"""Time as the router sees it: real in production, virtual in tests and simulations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    def now(self) -> float:
        """Seconds on a monotonic clock."""
        ...

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer: ...


class LoopClock:
    """The running event loop's own clock."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_at(when_s, callback)


async def sleep(clock: Clock, duration_s: float) -> None:
    """Until `duration_s` has passed on `clock`."""
    over = asyncio.Event()
    timer = clock.call_at(clock.now() + duration_s, over.set)
    try:
        await over.wait()
    finally:
        timer.cancel()


@asynccontextmanager
async def timeout(clock: Clock, duration_s: float) -> AsyncIterator[None]:
    """Raises TimeoutError in the block once `duration_s` has passed on `clock`."""
    async with asyncio.timeout(None) as limit:
        timer = clock.call_at(clock.now() + duration_s, lambda: limit.reschedule(0.0))
        try:
            yield
        finally:
            timer.cancel()
