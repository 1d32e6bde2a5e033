"""How much of a model's file is here, from its beginning on, for who reads it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path


class Front:
    """Of one file while it arrives; void once bytes that counted turned out to be others."""

    def __init__(self) -> None:
        self._here_bytes = 0
        self._file: tuple[int, int] | None = None
        self._void = False
        self._grown = asyncio.Event()

    def watch(self, path: Path, verified_bytes: int) -> None:
        """What a store says of the file at `path`; see `store.progress.Watch`."""
        file = _identity(path)
        self._void |= verified_bytes < self._here_bytes or self._file not in (None, file)
        self._here_bytes, self._file = verified_bytes, file
        self._grown.set()
        self._grown = asyncio.Event()

    def became(self, path: Path) -> bool:
        """Whether the file that is at `path` now is the one that was watched, all of it right."""
        return not self._void and self._file is not None and _identity(path) == self._file

    async def follow(self) -> AsyncIterator[int]:
        """Each time there is more, how much; never ends by itself."""
        told_bytes = 0
        while True:
            if self._here_bytes > told_bytes:
                told_bytes = self._here_bytes
                yield told_bytes
            else:
                await self._grown.wait()


def _identity(path: Path) -> tuple[int, int] | None:
    """A rename keeps it."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
