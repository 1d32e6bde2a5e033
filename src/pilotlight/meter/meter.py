"""A thread that reads all sources now and then, and keeps what they said."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from pilotlight.meter.series import Series
from pilotlight.meter.source import PowerSource, Reading
from pilotlight.meter.tally import Point, Tally
from pilotlight.meter.totals import counted, source_of
from pilotlight.metrics import EnergySource

PERIOD_S = 0.5
SHARE = 0.005
"""Of one core, that sampling may take: where a sample costs more, they are taken less often."""
SLOWEST_S = 4.0
"""Except that no gap is so long that watts would say nothing of it."""
PATIENCE_S = 5.0
"""For a source that hangs as its driver does, when the meter stops."""
SILENT_S = 10.0
"""A device that said nothing for so long draws nobody knows what: then there is no total."""


@dataclass(frozen=True, slots=True)
class Total:
    """Since the meter was started."""

    at_s: float
    joules: Mapping[str, float]
    """By device; one that says nothing isn't there."""

    gross_j: float | None
    source: EnergySource | None


@dataclass(slots=True)
class _Metered:
    tally: Tally
    points: deque[Point] = field(default_factory=deque)


class Meter:
    """Made idle; `start` takes the first sample. Safe to ask from any thread.

    It owns its sources, and closes them when it stops. `keep_s` bounds what it remembers, for
    those that run for months; totals go on all the same.
    """

    def __init__(
        self,
        sources: Sequence[PowerSource],
        *,
        notes: tuple[str, ...] = (),
        period_s: float = PERIOD_S,
        keep_s: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._sources = tuple(sources)
        self._devices = tuple(device for source in sources for device in source.devices)
        self._metered = {device.name: _Metered(Tally(device)) for device in self._devices}
        self._notes = notes
        self._period_s = period_s
        self._keep_s = keep_s
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._spent_s = 0.0
        self._began_s = 0.0
        self._samples = 0
        self._counted = tuple(device.name for device in counted(self._devices))
        self._source = source_of(self._devices)
        self._total = Total(0.0, {}, None, None)

    def __enter__(self) -> Meter:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Without any source there is nothing to sample, and no thread."""
        self._began_s = self._clock()
        if self._sources:
            self.mark()
            self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Takes a last sample. What was metered can still be asked for."""
        if self._ended.is_set():
            return
        self._ended.set()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
            if self._thread.is_alive():
                return  # whoever touched its sources would hang as well
            self.mark()
        for source in self._sources:
            source.close()

    def mark(self) -> float:
        """Sample now, so that a span which begins or ends here is exact. Blocks as sources do.

        Returns the time of it.
        """
        with self._lock:
            began_s = time.thread_time()
            at_s = self._clock()
            for source in self._sources:
                for device, reading in zip(source.devices, source.read(), strict=True):
                    self._add(self._metered[device.name], at_s, reading)
            self._total = self._summed(at_s)
            self._samples += 1
            self._spent_s += time.thread_time() - began_s
            return at_s

    def series(self) -> Series:
        with self._lock:
            points = {name: tuple(each.points) for name, each in self._metered.items()}
        return Series(self._devices, points, self._notes)

    def total(self) -> Total:
        """As of the last sample. Costs nothing and waits for nobody."""
        return self._total

    @property
    def overhead(self) -> float:
        """Share of one core that sampling took so far."""
        passed_s = self._clock() - self._began_s
        return self._spent_s / passed_s if passed_s > 0 else 0.0

    @property
    def pause_s(self) -> float:
        """Until the next sample."""
        each_s = self._spent_s / max(1, self._samples)
        return min(max(self._period_s, each_s / SHARE), max(self._period_s, SLOWEST_S))

    def _summed(self, at_s: float) -> Total:
        last = {name: each.tally.last for name, each in self._metered.items()}
        joules = {
            name: point.joules
            for name, point in last.items()
            if point is not None and at_s - point.at_s <= SILENT_S
        }
        whole = self._counted and all(name in joules for name in self._counted)
        if not whole:
            return Total(at_s, joules, None, None)
        return Total(at_s, joules, sum(joules[name] for name in self._counted), self._source)

    def _add(self, metered: _Metered, at_s: float, reading: Reading) -> None:
        point = metered.tally.add(at_s, reading)
        if point is None:
            return
        points = metered.points
        points.append(point)
        while self._keep_s is not None and points[0].at_s < at_s - self._keep_s:
            points.popleft()

    def _run(self) -> None:
        while not self._ended.wait(self.pause_s):
            self.mark()
