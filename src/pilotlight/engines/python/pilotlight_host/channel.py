"""Orders in, events out: the owner's line to this process."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

EVENTS_FD = 3
_PR_SET_PDEATHSIG = 1
_LINE_BYTES = 16 * 2**20


class Channel:
    """Takes stdin and descriptor 3 for itself, so that the user's code can't disturb them."""

    def __init__(self) -> None:
        self._orders = os.dup(0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        self._events = os.dup(EVENTS_FD)
        os.close(EVENTS_FD)

    def say(self, **event: Any) -> None:
        os.write(self._events, json.dumps(event).encode() + b"\n")

    async def orders(self) -> AsyncIterator[dict[str, Any]]:
        """Until the owner closes its end, or is gone."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_LINE_BYTES)
        pipe = os.fdopen(self._orders, "rb", 0)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        while line := await reader.readline():
            yield json.loads(line)


def die_with_parent() -> None:
    """For code that keeps the loop from seeing the end of stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is the owner's to handle
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
