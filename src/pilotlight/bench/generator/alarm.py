"""A timer that is on time: an event loop's own counts in whole milliseconds.

Where the kernel has timer descriptors (Linux), the loop wakes within some tens of microseconds of
the moment and nothing spins, so the processor is left to a server on the same machine.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Protocol

_CLOCK_MONOTONIC = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_ABSOLUTE = 1


class Alarm(Protocol):
    """Calls back once after each `set`; a later `set` replaces the moment before."""

    def set(self, when_s: float) -> None:
        """`when_s` is on `time.perf_counter`; a moment that has passed rings at once."""
        ...

    def close(self) -> None: ...


def alarm(ring: Callable[[], None]) -> Alarm:
    """Of the running loop."""
    if sys.platform != "linux":
        return LoopTimer(ring)
    try:
        return TimerDescriptor(ring)
    except OSError:  # a sandbox without them
        return LoopTimer(ring)


class _Spec(ctypes.Structure):
    """struct itimerspec."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class TimerDescriptor:
    """timerfd_create(2). On Linux `time.perf_counter` is CLOCK_MONOTONIC, the timer's clock."""

    def __init__(self, ring: Callable[[], None]) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self._settime = library.timerfd_settime
        self._fd = library.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._ring = ring
        self._spec = _Spec()
        self._pointer = ctypes.byref(self._spec)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._fired)

    def set(self, when_s: float) -> None:
        when_ns = max(1, int(when_s * 1e9))  # zero would disarm it
        self._spec.value_s, self._spec.value_ns = divmod(when_ns, 1_000_000_000)
        self._settime(self._fd, _ABSOLUTE, self._pointer, None)

    def _fired(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # set anew between the wake-up and here
            return
        self._ring()

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


class LoopTimer:
    """The loop's own timer, where there is nothing better."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None

    def set(self, when_s: float) -> None:
        self.close()
        delay_s = max(0.0, when_s - time.perf_counter())
        self._handle = self._loop.call_later(delay_s, self._ring)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
