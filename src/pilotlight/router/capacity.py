"""How much memory the models of this machine may use together."""

from __future__ import annotations

import psutil

from pilotlight.errors import ConfigError
from pilotlight.machine import Machine

LEAST_BYTES = 128 * 2**20


def capacity_bytes(
    configured: int | None, reserve_bytes: int, standby_bytes: int, machine: Machine
) -> int:
    """As configured; else what the machine or its cgroup has, less what others use now.

    Parked standby processes take theirs off the top either way.

    Raises:
        ConfigError: nothing worth the name is left.
    """
    if configured is not None:
        return max(0, configured - standby_bytes)
    available = int(psutil.virtual_memory().available)
    capacity = min(available, machine.ram_bytes) - reserve_bytes - standby_bytes
    if capacity < LEAST_BYTES:
        raise ConfigError(
            f"only {available >> 20} MiB of memory are available and memory_reserve keeps "
            f"{reserve_bytes >> 20} MiB of them",
            hint="free memory, lower memory_reserve, or set memory yourself",
        )
    return capacity
