"""A counter that grows while a server works, read from its Prometheus metrics."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from pilotlight.engines.base import EngineProcess
from pilotlight.errors import EngineCrashedError, EngineError


@dataclass(frozen=True, slots=True)
class Meter:
    """Where the metrics are, and which of them grow with the work."""

    path: str
    counters: frozenset[str]


class Pulse:
    """Remembers which process shows what."""

    def __init__(self) -> None:
        self._meters: WeakKeyDictionary[EngineProcess, Meter] = WeakKeyDictionary()

    def watch(self, process: EngineProcess, meter: Meter) -> None:
        self._meters[process] = meter

    async def count(self, process: EngineProcess) -> int | None:
        """None where it shows no such metric, or doesn't answer."""
        meter = self._meters.get(process)
        if meter is None:
            return None
        try:
            status, body = await process.client.fetch(meter.path)
        except (EngineError, EngineCrashedError, TimeoutError):
            return None
        values = list(samples(body.decode(errors="replace"), meter.counters))
        return int(sum(values)) if status == 200 and values else None


def samples(text: str, names: Collection[str]) -> Iterator[float]:
    """The values of metrics called `names`, whatever their labels, in Prometheus' text format."""
    for line in text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name not in names:
            continue
        # Labels are quoted and may hold anything; what follows them is the value.
        rest = line[len(name) :].rpartition("}")[2].split()
        try:
            yield float(rest[0])
        except (IndexError, ValueError):
            continue
