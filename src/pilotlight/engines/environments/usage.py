"""Which running processes come from an environment."""

from __future__ import annotations

from pathlib import Path

import psutil


def in_use(root: Path) -> list[int]:
    """Process ids, of this user's and others' where the kernel tells."""
    return [process.pid for process in psutil.process_iter() if _comes_from(process, root)]


def _comes_from(process: psutil.Process, root: Path) -> bool:
    try:
        # A virtual environment's python is a link: its own path stands only in argv.
        programs = (process.exe(), *process.cmdline()[:1])
    except psutil.Error:
        return False
    return any(program.startswith(f"{root}/") for program in programs)
