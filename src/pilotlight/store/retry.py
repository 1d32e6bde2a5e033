"""When a failed request is tried again, and after how long."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from pilotlight.errors import SourceError

_T = TypeVar("_T")

Sleep = Callable[[float], Awaitable[None]]


class TransientError(Exception):
    """A failure worth another try; `error` is what the user sees when there is none left.

    `busy`: the server answered, and asked to be left alone for a while.
    """

    def __init__(
        self, error: SourceError, *, retry_after_s: float | None = None, busy: bool = False
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after_s = retry_after_s
        self.busy = busy


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential backoff with jitter; a server's own Retry-After wins."""

    sleep: Sleep = asyncio.sleep
    attempts: int = 6
    """Tries in a row without a single new byte."""

    first_delay_s: float = 0.5
    longest_delay_s: float = 30.0
    longest_retry_after_s: float = 120.0
    """A server that asks for more patience than this gets none: the user decides."""

    async def persist(
        self, attempt: Callable[[], Awaitable[_T]], advanced: Callable[[], int] = lambda: 0
    ) -> _T:
        """`attempt` until it succeeds; failures count from zero again when `advanced` grew.

        Raises:
            SourceError: of the last attempt.
        """
        failures, reached = 0, advanced()
        while True:
            try:
                return await attempt()
            except TransientError as failure:
                if advanced() > reached:
                    failures, reached = 0, advanced()
                failures += 1
                if failures >= self.attempts or not self._patient(failure):
                    raise failure.error from failure.__cause__
                await self.sleep(self.delay_s(failures, failure.retry_after_s))

    def delay_s(self, failures: int, retry_after_s: float | None) -> float:
        if retry_after_s is not None:
            return retry_after_s
        delay_s = min(self.longest_delay_s, self.first_delay_s * 2.0 ** (failures - 1))
        return delay_s * random.uniform(0.75, 1.25)

    def _patient(self, failure: TransientError) -> bool:
        return (failure.retry_after_s or 0.0) <= self.longest_retry_after_s
