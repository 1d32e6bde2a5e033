"""A fleet whose processes live in memory; it keeps them all for a test to look at."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pilotlight.engines.base import Launch, Seat
from pilotlight.errors import EngineStartError
from pilotlight.testing.process import FakeProcess
from pilotlight.testing.service import Sleep


class FakeFleet:
    """`fleet.base.Fleet`; give `VirtualClock.sleep` to have delays pass in virtual time."""

    def __init__(self, *, sleep: Sleep = asyncio.sleep) -> None:
        self.processes: list[FakeProcess] = []
        """Every process ever launched, in order."""

        self.fail_launch: str | None = None
        """Words with which the next launches fail."""

        self._sleep = sleep
        self._held: set[str] = set()
        self._news = asyncio.Event()

    def hold(self, point: str) -> None:
        """Hold `point` in every process launched from now on."""
        self._held.add(point)

    def release(self, point: str) -> None:
        """Hold it no more in processes to come; each process that waits has its own release."""
        self._held.remove(point)

    async def launched(self, number: int) -> FakeProcess:
        """The process launched as number `number` (from 1), as soon as there is one."""
        while len(self.processes) < number:
            self._news.clear()
            await self._news.wait()
        return self.processes[number - 1]

    @property
    def alive(self) -> list[FakeProcess]:
        return [process for process in self.processes if process.alive]

    def seat(self, replica_id: str) -> Seat:
        """A place on no disk: nothing in memory needs one."""
        directory = Path("/nonexistent") / replica_id
        return Seat(directory, directory / "s", f"secret-of-{replica_id}")

    async def launch(self, launch: Launch) -> FakeProcess:
        if self.fail_launch is not None:
            raise EngineStartError(f"can't run {launch.argv[0]!r}", last_words=self.fail_launch)
        process = FakeProcess(launch, sleep=self._sleep, held=self._held)
        self.processes.append(process)
        self._news.set()
        return process

    async def close(self) -> None:
        for process in self.alive:
            process.kill("signal SIGTERM")
