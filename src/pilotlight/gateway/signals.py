"""SIGINT and SIGTERM: the first asks the server to finish and go, the second insists."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held() -> Iterator[None]:
    """Until `Stop.listening` a signal waits: by default it would end the process half-way."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Stop:
    """What the signals so far ask for. Make it on the running event loop."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.insisted = asyncio.Event()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Signals are ours here, also those that `held` has kept waiting."""
        loop = asyncio.get_running_loop()
        for number in NUMBERS:
            loop.add_signal_handler(number, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)
        try:
            yield
        finally:
            for number in NUMBERS:
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        (self.insisted if self.asked.is_set() else self.asked).set()


async def either(event: asyncio.Event, work: asyncio.Future[None]) -> None:
    """Until `event` is set or `work` is done; `work` is left as it is."""
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((waiting, work), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
