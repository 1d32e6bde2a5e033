"""Memory of an engine: its process, and all that it spawned.

An engine of several processes maps the same libraries into each, so their
resident sets can't be added up; their proportional shares can.
"""

from __future__ import annotations

from pathlib import Path

import psutil


def now_bytes(pid: int) -> int | None:
    """Resident memory now; None when the process is gone."""
    try:
        process = psutil.Process(pid)
        children = process.children(recursive=True)
        if not children:
            return int(process.memory_info().rss)
    except psutil.Error:
        return None
    return sum(_share_bytes(each) for each in (process, *children))


def peak_bytes(pid: int) -> int | None:
    """The most that the process and each of its children ever had resident, as far as known."""
    now = now_bytes(pid)
    if now is None:
        return None
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        children = []
    return now + sum(_fallen_bytes(each) for each in (pid, *(child.pid for child in children)))


def _share_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):  # it just ended, or no such thing on this system
        return 0


def _fallen_bytes(pid: int) -> int:
    """How far a process is below its own peak."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    sizes = {
        name: int(value.split()[0]) * 1024
        for name, _, value in (line.partition(":") for line in status.splitlines())
        if name in ("VmHWM", "VmRSS")
    }
    return max(sizes.get("VmHWM", 0) - sizes.get("VmRSS", 0), 0)
