"""Places where a test can hold a process back and see that it got there: no sleeps."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable


class Gates:
    """All are open but the held ones."""

    def __init__(self, held: Iterable[str] = ()) -> None:
        self._held = {point: asyncio.Event() for point in held}
        self._passed: Counter[str] = Counter()
        self._arrival = asyncio.Event()

    def hold(self, point: str) -> None:
        self._held.setdefault(point, asyncio.Event())

    def release(self, point: str) -> None:
        """Let go whoever waits at `point`, and all that come later."""
        event = self._held.pop(point, None)
        if event is None:
            raise ValueError(f"{point!r} is not held; held are {sorted(self._held)}")
        event.set()

    async def enter(self, point: str) -> None:
        """Arrive at `point`; goes on when it isn't held."""
        self._passed[point] += 1
        self._arrival.set()
        self._arrival = asyncio.Event()
        held = self._held.get(point)
        if held is not None:
            await held.wait()

    async def reached(self, point: str, times: int = 1) -> None:
        """Until `point` has been reached, `times` times since the start."""
        while self._passed[point] < times:
            await self._arrival.wait()
