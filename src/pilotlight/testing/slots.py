"""The seats of an engine: how many requests it works on at once, and who sits where."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Slot:
    """`decoded` counts the tokens of the request under way, `total` those of all requests."""

    id: int
    context: int
    busy: bool = False
    task: int = -1
    decoded: int = 0
    total: int = 0

    def count_token(self) -> None:
        self.decoded += 1
        self.total += 1

    def as_json(self) -> dict[str, Any]:
        """As llama.cpp shows a slot, and the running total that its own counter lacks."""
        return {
            "id": self.id,
            "n_ctx": self.context,
            "is_processing": self.busy,
            "id_task": self.task,
            "next_token": [{"has_next_token": self.busy, "n_decoded": self.decoded}],
            "n_decoded_total": self.total,
        }


class Slots:
    """Whoever comes when all are taken waits, first come first served."""

    def __init__(self, count: int, context: int) -> None:
        self._slots = [Slot(id_, context) for id_ in range(count)]
        self._free = asyncio.Semaphore(count)
        self._tasks = 0

    @property
    def busy(self) -> int:
        return sum(slot.busy for slot in self._slots)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Slot]:
        async with self._free:
            slot = next(slot for slot in self._slots if not slot.busy)
            self._tasks += 1
            slot.busy, slot.task, slot.decoded = True, self._tasks, 0
            try:
                yield slot
            finally:
                slot.busy = False

    def as_json(self) -> list[dict[str, Any]]:
        return [slot.as_json() for slot in self._slots]
