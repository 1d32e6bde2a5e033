"""Time that passes only when a test says so."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable

_TURNS = 100


async def settle(turns: int = _TURNS) -> None:
    """Let every task that can run do so, through chains of up to `turns` wake-ups."""
    for _ in range(turns):
        await asyncio.sleep(0)


class VirtualTimer:
    """A callback that waits for its moment."""

    __slots__ = ("callback", "when_s")

    def __init__(self, when_s: float, callback: Callable[[], None]) -> None:
        self.when_s = when_s
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """`router.clock.Clock` and a sleep, by hand; timers fire in order of their moment."""

    def __init__(self, start_s: float = 1000.0) -> None:
        self._now_s = start_s
        self._timers: list[tuple[float, int, VirtualTimer]] = []
        self._order = itertools.count()

    def __call__(self) -> float:
        return self._now_s

    def now(self) -> float:
        return self._now_s

    def call_at(self, when_s: float, callback: Callable[[], None]) -> VirtualTimer:
        """A moment that has passed already comes at the next advance, even of zero."""
        timer = VirtualTimer(when_s, callback)
        heapq.heappush(self._timers, (when_s, next(self._order), timer))
        return timer

    async def sleep(self, duration_s: float) -> None:
        if duration_s <= 0:
            await asyncio.sleep(0)
            return
        done = asyncio.get_running_loop().create_future()
        timer = self.call_at(self._now_s + duration_s, lambda: _wake(done))
        try:
            await done
        finally:
            timer.cancel()

    @property
    def next_s(self) -> float:
        """When the next timer is due; infinite without one."""
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else math.inf

    def advance(self, duration_s: float) -> None:
        """Fire all that is due, each at its own moment. What tasks then do comes later."""
        target_s = self._now_s + duration_s
        while self.next_s <= target_s:
            self._fire()
        self._now_s = target_s

    async def run_for(self, duration_s: float) -> None:
        """Like `advance`, but tasks run in between, so they may set timers that fire too."""
        target_s = self._now_s + duration_s
        await settle()
        while self.next_s <= target_s:
            self._fire()
            await settle()
        self._now_s = target_s

    def _fire(self) -> None:
        when_s, _, timer = heapq.heappop(self._timers)
        self._now_s = max(self._now_s, when_s)
        if timer.callback is not None:
            timer.callback()


def _wake(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
