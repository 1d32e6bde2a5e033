"""Samples taken while nobody else computes: one busy neighbour can make a step ten times slower.

An engine's threads wait for each other at every matrix, so one of them that loses its core for a
moment holds up all. Such samples say nothing of the machine.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import psutil

QUIET_CORES = 0.05
"""What others may use on average: a terminal, a clock, the kernel."""


class Watch:
    """Starts when made. Only processor time counts: others may also use memory bandwidth."""

    def __init__(self, engine_pid: int | None) -> None:
        self._own = [psutil.Process(pid) for pid in (os.getpid(), engine_pid) if pid is not None]
        self._began_s = time.monotonic()
        self._busy_s = self._others_s()

    def others(self) -> float:
        """Cores that others kept busy since, in the mean."""
        elapsed_s = time.monotonic() - self._began_s
        return max(self._others_s() - self._busy_s, 0.0) / elapsed_s if elapsed_s else 0.0

    def _others_s(self) -> float:
        times = psutil.cpu_times()
        idle_s = times.idle + getattr(times, "iowait", 0.0)
        own_s = sum(used.user + used.system for used in (each.cpu_times() for each in self._own))
        return float(sum(times) - idle_s - getattr(times, "guest", 0.0) - own_s)


@dataclass(frozen=True, slots=True)
class Sampled:
    """Seconds, and how many quiet samples they are the median of; 0: the fastest of noisy ones."""

    seconds: float
    quiet: int


async def sampled(
    sample: Callable[[], Awaitable[float]],
    watch: Callable[[], Watch],
    *,
    wanted: int,
    most: int,
    patience_s: float = math.inf,
) -> Sampled:
    """`sample` in seconds, taken until `wanted` were quiet, at most `most` times.

    After `patience_s` one quiet sample is enough, and after three times that none is waited for.
    """
    began_s = time.monotonic()
    quiet: list[float] = []
    noisy: list[float] = []
    while len(quiet) < wanted and len(quiet) + len(noisy) < most:
        watching = watch()
        seconds = await sample()
        (quiet if watching.others() <= QUIET_CORES else noisy).append(seconds)
        if time.monotonic() - began_s >= patience_s * (1 if quiet else 3):
            break
    if quiet:
        return Sampled(statistics.median(quiet), len(quiet))
    return Sampled(min(noisy), 0)
