"""Engine processes kept started with their libraries loaded and no model."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque

from pilotlight.engines.base import Engine, EngineProcess
from pilotlight.errors import PilotlightError
from pilotlight.fleet.base import Fleet

log = logging.getLogger(__name__)


class StandbyPool:
    """Keeps `wanted` parked processes of one engine; any model of that engine may take one."""

    def __init__(self, engine: Engine, fleet: Fleet, wanted: int) -> None:
        self._engine = engine
        self._fleet = fleet
        self._wanted = wanted
        self._parked: deque[EngineProcess] = deque()
        self._numbers = itertools.count(1)
        self._filling: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return sum(1 for process in self._parked if process.alive)

    def take(self) -> EngineProcess | None:
        """A parked process, now the caller's; None when there is none yet."""
        while self._parked:
            process = self._parked.popleft()
            if process.alive:
                return process
        return None

    def fill(self) -> None:
        """Start what is missing, in the background."""
        if self._closed or (self._filling and not self._filling.done()):
            return
        if len(self) < self._wanted:
            self._filling = asyncio.get_running_loop().create_task(self._fill())

    async def filled(self) -> None:
        if self._filling:
            await self._filling

    async def _fill(self) -> None:
        while not self._closed and len(self) < self._wanted:
            seat = self._fleet.seat(f"standby-{self._engine.name}-{next(self._numbers)}")
            try:
                process = await self._fleet.launch(self._engine.command(seat, None))
            except PilotlightError as error:
                log.warning("no standby of engine %s: %s", self._engine.name, error.one_line())
                return
            self._parked.append(process)

    async def close(self) -> None:
        self._closed = True
        if self._filling:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)
        while process := self.take():
            await process.stop(grace_s=0.5)
