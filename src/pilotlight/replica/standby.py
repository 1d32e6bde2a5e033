"""Engine processes kept started with their libraries loaded and no model."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Coroutine
from typing import Any

from pilotlight.engines.base import Engine, EngineProcess
from pilotlight.errors import PilotlightError
from pilotlight.fleet.base import Fleet

log = logging.getLogger(__name__)

MOST_DEATHS = 3
"""Parked processes that may die in a row before no more are started until one is wanted again."""


class StandbyPool:
    """Keeps `wanted` parked processes of one engine; any model of that engine may take one."""

    def __init__(self, engine: Engine, fleet: Fleet, wanted: int) -> None:
        self._engine = engine
        self._fleet = fleet
        self._wanted = wanted
        self._parked: deque[EngineProcess] = deque()
        self._numbers = itertools.count(1)
        self._deaths = 0
        self._filling: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def count(self) -> int:
        return sum(1 for process in self._parked if process.alive)

    def take(self) -> EngineProcess | None:
        """A parked process, now the caller's; None when there is none yet."""
        while self._parked:
            process = self._parked.popleft()
            if process.alive:
                self._deaths = 0
                return process
        return None

    def fill(self) -> None:
        """Start what is missing, in the background."""
        idle = self._filling is None or self._filling.done()
        if not self._closed and idle and self.count < self._wanted:
            self._filling = self._spawn(self._fill())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _fill(self) -> None:
        while not self._closed and self.count < self._wanted and self._deaths < MOST_DEATHS:
            seat = self._fleet.seat(f"standby-{self._engine.name}-{next(self._numbers)}")
            try:
                process = await self._fleet.launch(self._engine.command(seat, None))
            except PilotlightError as error:
                log.warning("no standby of engine %s: %s", self._engine.name, error.one_line())
                return
            self._parked.append(process)
            self._spawn(self._replace(process))

    async def _replace(self, process: EngineProcess) -> None:
        """One that dies while it is parked makes room for another."""
        how = await process.wait()
        if process not in self._parked:
            return  # taken long ago: its end is its replica's affair
        self._parked.remove(process)
        self._deaths += 1
        log.warning("a standby of engine %s ended (%s)", self._engine.name, how)
        self.fill()

    async def close(self) -> None:
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while process := self.take():
            await process.stop(grace_s=0.5)
