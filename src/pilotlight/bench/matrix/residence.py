"""Subjects that stay between their turns, as long as there is memory for the others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from pilotlight.bench.matrix.contestant import Contestant
from pilotlight.bench.subjects.footprint import memory_bytes
from pilotlight.bench.subjects.subject import Subject

Open = Callable[[Contestant], contextlib.AbstractContextManager[Subject]]
ROOM = 1.5
"""Times the largest subject so far that must stay free: the next may be larger, and grows."""


def may_stay(free_bytes: int, largest_bytes: int) -> bool:
    """With one more that stays, `free_bytes` are left for whoever comes next."""
    return free_bytes >= ROOM * largest_bytes


class Residence:
    """Use it as a context manager: at its end everyone who stayed is stopped.

    A subject whose size nobody knows is at an address, and so not ours to stop or keep.
    """

    def __init__(self, open: Open, free_bytes: Callable[[], int]) -> None:
        self._open = open
        self._free_bytes = free_bytes
        self._staying: dict[str, Subject] = {}
        self._closing = contextlib.ExitStack()
        self._largest_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._staying.clear()
        self._closing.close()

    @contextlib.contextmanager
    def open(self, contestant: Contestant) -> Iterator[Subject]:
        if staying := self._staying.get(contestant.name):
            yield staying
            return
        with contextlib.ExitStack() as own:
            subject = own.enter_context(self._open(contestant))
            yield subject
            taken = memory_bytes(subject) if subject.pid is not None else None
            if taken is not None:
                self._largest_bytes = max(self._largest_bytes, taken)
                if may_stay(self._free_bytes(), self._largest_bytes):
                    self._staying[contestant.name] = subject
                    self._closing.push(own.pop_all())
