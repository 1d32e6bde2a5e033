"""Which run of this machine it is: what was written in it and isn't synced is lost with it."""

from __future__ import annotations

import uuid
from functools import lru_cache
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@lru_cache(maxsize=1)
def current() -> str:
    """Names the time since this machine was started.

    Where nobody says it, each process is its own: another one hashes what this one hadn't
    synced yet, instead of believing it.
    """
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return uuid.uuid4().hex
