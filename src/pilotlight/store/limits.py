"""What all fetches of a process may take together: connections, and bytes a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_BURST_S = 0.1
_PIECE_BYTES = 2**20


@dataclass(slots=True)
class Bandwidth:
    """A token bucket that may be overdrawn: whoever took too much waits until it is paid."""

    bytes_per_s: float
    _left: float = 0.0
    _filled_s: float = float("-inf")

    def taken(self, count: int, now: float) -> float:
        """Take `count` bytes; how long to wait before taking more."""
        gained = (now - self._filled_s) * self.bytes_per_s
        self._left = min(self._left + gained, self.bytes_per_s * _BURST_S) - count
        self._filled_s = now
        return max(0.0, -self._left / self.bytes_per_s)


@dataclass(slots=True)
class Limits:
    """One for each process, given to every `fetch`; of one event loop at a time."""

    connections: int = 16
    """Most connections of one file."""

    all_connections: int = 64
    """Most connections together; with more files at once than this, one for each."""

    bandwidth: Bandwidth | None = None
    _files: int = field(default=0, init=False)

    @contextmanager
    def file(self) -> Iterator[Callable[[], int]]:
        """Count one more file while it is fetched; gives its present share of the connections.

        A share shrinks when another file comes, and is kept at the next request.
        """
        self._files += 1
        try:
            yield lambda: max(1, min(self.connections, self.all_connections // self._files))
        finally:
            self._files -= 1

    @property
    def piece_bytes(self) -> int:
        """How much to read at once; on a narrow line little, so that lanes wait in turns."""
        if self.bandwidth is None:
            return _PIECE_BYTES
        return max(2**12, min(_PIECE_BYTES, int(self.bandwidth.bytes_per_s * _BURST_S)))

    async def spend(self, count: int) -> None:
        if self.bandwidth is None:
            return
        wait_s = self.bandwidth.taken(count, asyncio.get_running_loop().time())
        if wait_s > 0:
            await asyncio.sleep(wait_s)
