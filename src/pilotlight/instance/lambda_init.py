"""Lambda's init phase: models are loaded before the first invocation is asked for."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pilotlight.gateway.assembly import House
from pilotlight.router.clock import Clock, timeout
from pilotlight.router.router import Place

log = logging.getLogger(__name__)

LIMIT_S = 9.0
"""On demand, init is ended 10 s after the process began, and begun anew inside the first
invocation; what had been loaded is lost. Asked for in time, that one comes while the load goes on.
"""

LONGEST_S = 890.0
"""A provisioned environment has 15 minutes at most."""


def limit_s(*, limited: bool, age_s: float) -> float:
    """What is left for loading in a process that began `age_s` ago: it was imported meanwhile."""
    return max(0.0, LIMIT_S - age_s) if limited else LONGEST_S


def process_age_s() -> float:
    """Since this process began; proc(5) has its start as field 22, in ticks since the boot."""
    # What stands before the last bracket is a name, which may hold anything.
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


async def load_models(house: House, clock: Clock, *, limit_s: float) -> None:
    """Returns once every model with `min` is ready, or once `limit_s`, Lambda's time, is over.

    The python engine's `setup` is part of the load. Raises what a model couldn't be loaded for.
    """
    names = [name for name, model in house.settings.models.items() if model.min > 0]
    if not names:
        log.warning("no model has min: 1, so the first request of each will wait for its load")
    with _places(house, names) as places:
        try:
            async with timeout(clock, limit_s):
                for place in places:
                    await place.granted
        except TimeoutError:
            log.warning("init takes long: the load goes on in the first invocation")


@contextmanager
def _places(house: House, names: list[str]) -> Iterator[list[Place]]:
    """Requests that want nothing but the load; a load that they began goes on without them."""
    places = [house.router.load(name) for name in names]
    try:
        yield places
    finally:
        for place in places:
            house.router.release(place, completed=False)
            replica = house.performer.replicas.get(place.replica or "")
            if replica is not None and not house.router.is_busy(replica.id):
                house.performer.end_trace(replica, "ready")
