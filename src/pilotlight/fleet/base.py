"""Where replicas run: turns a program to launch into a running process."""

from __future__ import annotations

from typing import Protocol

from pilotlight.engines.base import EngineProcess, Launch, Seat


class Fleet(Protocol):
    """This machine now; a cluster later. The caller owns each process it launched."""

    def seat(self, replica_id: str) -> Seat:
        """A place of its own for one engine process, with a fresh secret."""
        ...

    async def launch(self, launch: Launch) -> EngineProcess:
        """Raises EngineStartError when the program can't be started at all."""
        ...

    async def close(self) -> None:
        """Leave nothing behind: processes, sockets, directories."""
        ...
