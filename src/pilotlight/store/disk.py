"""Room on the disk, asked for before it is needed."""

from __future__ import annotations

import shutil
from pathlib import Path

from pilotlight.errors import DiskFullError
from pilotlight.quantities import about_bytes

_BLOCK_BYTES = 512  # what st_blocks counts in, whatever the file system's own blocks are


def require_room(directory: Path, needed_bytes: int, what: str) -> None:
    """Raises DiskFullError when `what` doesn't fit on the disk of `directory`."""
    free_bytes = shutil.disk_usage(directory).free
    if needed_bytes > free_bytes:
        raise DiskFullError(
            f"{what} needs {needed_bytes} bytes, and the disk of {str(directory)!r} "
            f"has {free_bytes} free",
            hint=f"make room for {about_bytes(needed_bytes - free_bytes)} "
            "(`pilotlight store gc`), or set store.directory to a larger disk",
        )


def missing_bytes(partial: Path, size_bytes: int) -> int:
    """What a file of that size still takes from the disk; a partial one may have its room."""
    try:
        return max(0, size_bytes - partial.stat().st_blocks * _BLOCK_BYTES)
    except OSError:
        return size_bytes
