"""Which running processes come from an environment."""

from __future__ import annotations

from pathlib import Path

import psutil


def in_use(root: Path) -> list[int]:
    """Process ids, of this user's and others' where the kernel tells."""
    places = tuple(f"{place}/" for place in {root, root.resolve()})
    return [process.pid for process in psutil.process_iter() if _comes_from(process, places)]


def _comes_from(process: psutil.Process, places: tuple[str, ...]) -> bool:
    try:
        # A virtual environment's python is a link: its own path stands only in argv.
        programs = (process.exe(), *process.cmdline()[:1])
    except psutil.Error:
        return False
    return any(program.startswith(places) for program in programs)
