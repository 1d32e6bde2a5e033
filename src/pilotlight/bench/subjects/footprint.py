"""What a subject takes of this machine."""

from __future__ import annotations

import contextlib

from pilotlight.bench.subjects.asking import Endpoint, asked
from pilotlight.bench.subjects.subject import Subject


def memory_bytes(subject: Subject) -> int | None:
    """Resident in RAM now, with all its processes; None where nobody says."""
    if subject.pid is not None:
        return resident_bytes(subject.pid)
    if not subject.here:
        return None
    answer = asked(Endpoint(subject.url, subject.key), "/pilotlight/v1/ps")
    replicas = [
        replica.get("ram_bytes") or 0
        for model in answer.get("models") or []
        if model.get("name") == subject.model
        for replica in model.get("replicas") or []
    ]
    return sum(replicas) or None


def resident_bytes(pid: int) -> int | None:
    """Of a process and all below it; None when it is gone."""
    import psutil

    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        first = psutil.Process(pid)
        for process in (first, *first.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
    return total or None
