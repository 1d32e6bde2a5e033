"""One running engine for all who only ask it something: a start of vLLM takes half a minute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.engines.base import EngineClient, EngineProcess, Launch, Seat
from pilotlight.fleet.base import Fleet


class Lender:
    """A `Fleet` that runs one program, and starts it anew only when a borrower killed it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._running: tuple[Launch, EngineProcess] | None = None

    def seat(self, replica_id: str) -> Seat:
        if self._running is None or not self._running[1].alive:
            return self._fleet.seat(replica_id)
        return self._running[0].seat

    async def launch(self, launch: Launch) -> EngineProcess:
        if self._running is None or not self._running[1].alive:
            self._running = launch, await self._fleet.launch(launch)
        running, process = self._running
        assert running == launch, "what runs here is another program"
        return Lent(process)

    async def close(self) -> None:
        await self._fleet.close()


class Lent:
    """An `EngineProcess` that goes on when its borrower stops it."""

    def __init__(self, process: EngineProcess) -> None:
        self._process = process

    @property
    def client(self) -> EngineClient:
        return self._process.client

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.alive

    async def send(self, message: Mapping[str, Any]) -> None:
        await self._process.send(message)

    async def receive(self) -> dict[str, Any]:
        return await self._process.receive()

    async def wait(self) -> str:
        return await self._process.wait()

    async def stop(self, grace_s: float = 5.0) -> None:
        """Nothing: the next borrower asks it."""

    def last_words(self, lines: int = 5) -> str:
        return self._process.last_words(lines)

    def memory_bytes(self) -> int | None:
        return self._process.memory_bytes()

    def peak_memory_bytes(self) -> int | None:
        return self._process.peak_memory_bytes()
