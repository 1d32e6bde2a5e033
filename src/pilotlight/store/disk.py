"""Room on the disk, asked for before it is needed."""

from __future__ import annotations

import shutil
from pathlib import Path

from pilotlight.errors import DiskFullError


def require_room(directory: Path, needed_bytes: int, what: str) -> None:
    """Raises DiskFullError when `what` doesn't fit on the disk of `directory`."""
    free_bytes = shutil.disk_usage(directory).free
    if needed_bytes > free_bytes:
        raise DiskFullError(
            f"{what} needs {needed_bytes} bytes, and the disk of {str(directory)!r} "
            f"has {free_bytes} free",
            hint="make room, or set data_dir to a larger disk",
        )
