"""Cuts off clients that don't take their bytes: each holds a slot that others wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from pilotlight.gateway.http import ClientGone
from pilotlight.router.clock import Clock

LOOKS = 4
"""Looks per limit: a client is cut off at most a quarter of it late."""


class Sender(Protocol):
    """Something under way; `sending_since_s` is None while nothing of it waits for the client."""

    sending_since_s: float | None


class Patience:
    """One timer for all streams: a deadline for each send would cost every chunk."""

    def __init__(self, clock: Clock, limit_s: float) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._under_way: dict[int, tuple[Sender, asyncio.Timeout]] = {}
        self._looking = False

    @asynccontextmanager
    async def watch(self, sender: Sender) -> AsyncIterator[None]:
        """Raises ClientGone in the block once one send has taken longer than the limit."""
        try:
            async with asyncio.timeout(None) as cut:
                self._under_way[id(sender)] = (sender, cut)
                self._look_later()
                yield
        except TimeoutError:
            if not cut.expired():
                raise
            raise ClientGone from None
        finally:
            self._under_way.pop(id(sender), None)

    def _look_later(self) -> None:
        if not self._looking:
            self._looking = True
            self._clock.call_at(self._clock.now() + self._limit_s / LOOKS, self._look)

    def _look(self) -> None:
        self._looking = False
        now = self._clock.now()
        for sender, cut in self._under_way.values():
            since_s = sender.sending_since_s
            if since_s is not None and now - since_s >= self._limit_s:
                cut.reschedule(0.0)
        if self._under_way:
            self._look_later()
