"""File work in a thread, off the event loop, that ends when its task is cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

_T = TypeVar("_T")

Tick = Callable[[int], None]
"""Called by the work between blocks with the bytes done so far."""


class _StoppedError(Exception):
    """Raised inside the thread once nobody waits for its work."""


def _ignore(done_bytes: int) -> None:
    """For work too short to report."""


async def in_thread(
    work: Callable[[Tick], _T], on_tick: Tick = _ignore, *, executor: Executor | None = None
) -> _T:
    """Run ``work(tick)`` in a thread; each tick reaches `on_tick` on the event loop.

    Work that waits for other work brings its own `executor`: in the common one, which is
    small, enough of the former would leave no thread for the latter.

    Cancelled, it stops the work at its next tick and returns only when the thread
    has ended: nothing may write to a partial file after its lock is released.
    """
    loop = asyncio.get_running_loop()
    stop = threading.Event()

    def tick(done_bytes: int) -> None:
        if stop.is_set():
            raise _StoppedError
        loop.call_soon_threadsafe(on_tick, done_bytes)

    future = loop.run_in_executor(executor, work, tick)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([future])
        future.exception()
        raise
