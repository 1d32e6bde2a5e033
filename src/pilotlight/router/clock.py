"""Time as the router sees it: real in production, virtual in tests and simulations."""

from __future__ import annotations

import asyncio
import time
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
    """Real time, with the running event loop's timers.

    Not the loop's own clock: uvloop's stands still within a turn and counts in
    whole milliseconds, too coarse for the phases of a cold start.
    """

    def now(self) -> float:
        return time.monotonic()

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(max(0.0, when_s - self.now()), callback)


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
