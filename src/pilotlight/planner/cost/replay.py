"""A trace request by request over instances that start and stop: no mean, no random arrival."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from pilotlight.planner.cost.serving import Scaling, Serving, replicas_at_peak
from pilotlight.planner.cost.usage import Span, Usage
from pilotlight.planner.traces import Arrival, Trace
from pilotlight.planner.traffic import MONTH_S


@dataclass(slots=True)
class _Instance:
    """`ends_s`: when its requests end. It stops at `gone_s`, unless asked before."""

    ready_s: float
    standby: bool
    ends_s: list[float] = field(default_factory=list)
    busy_from_s: float = 0.0
    gone_s: float = math.inf


@dataclass(slots=True)
class _Count:
    busy_s: float = 0.0
    busy_spans: int = 0
    up_s: float = 0.0
    cold_starts: int = 0
    waiting: int = 0
    standby_busy_s: float = 0.0
    standby_busy_spans: int = 0
    peak: int = 0


def replay(trace: Trace, serving: Serving, scaling: Scaling, start_s: float) -> Usage:
    """What the trace needs, repeated for a month. Each request goes to the first with room."""
    pool = _Pool(serving, scaling, start_s, _fixed(trace, serving, scaling))
    spans: dict[float, int] = {}
    means = trace.input_tokens, trace.output_tokens
    for arrival in trace.arrivals:
        seconds = pool.take(arrival, means)
        spans[seconds] = spans.get(seconds, 0) + 1
    pool.finish()
    return _usage(trace, serving, pool, [Span(s, n) for s, n in spans.items()])


def _fixed(trace: Trace, serving: Serving, scaling: Scaling) -> int:
    """Instances that are always there."""
    if scaling.idle_s is not None or scaling.minimum:
        return scaling.minimum
    slot_s = 300.0
    met: dict[int, int] = {}
    for one in trace.arrivals:
        slot = int(one.at_s / slot_s)
        met[slot] = met.get(slot, 0) + 1
    peak = max(met.values()) / min(slot_s, trace.duration_s)
    return replicas_at_peak(peak, serving.capacity_per_s)


class _Pool:
    """Owned by one replay; times are of the trace."""

    def __init__(self, serving: Serving, scaling: Scaling, start_s: float, standby: int) -> None:
        self._serving, self._idle_s, self._start_s = serving, scaling.idle_s, start_s
        self.standby = standby
        self._instances = [_Instance(0.0, standby=True) for _ in range(standby)]
        self.count = _Count(peak=standby)

    def take(self, arrival: Arrival, means: tuple[float, float]) -> float:
        """How long it was worked on."""
        now_s = arrival.at_s
        self._advance(now_s)
        one = self._with_room() or self._started(now_s)
        if one.ready_s > now_s:
            self.count.waiting += 1
        begin_s = max(now_s, one.ready_s)
        if not one.ends_s:
            one.busy_from_s, one.gone_s = begin_s, math.inf
        elif self._idle_s is None and len(one.ends_s) >= self._serving.concurrency:
            begin_s = heapq.heappop(one.ends_s)
        seconds = self._seconds(arrival, means, len(one.ends_s) + 1)
        heapq.heappush(one.ends_s, begin_s + seconds)
        return seconds

    def _seconds(self, arrival: Arrival, means: tuple[float, float], batch: int) -> float:
        serving = self._serving
        own_s = (
            serving.prefill_s * arrival.input_tokens / means[0]
            + serving.decode_s * arrival.output_tokens / means[1]
        )
        return round(own_s * serving.residence_s(batch) / serving.alone_s, 9)

    def _with_room(self) -> _Instance | None:
        """The first; where none may be started, the least busy."""
        if self._idle_s is None:
            return min(self._instances, key=lambda one: len(one.ends_s))
        room = self._serving.concurrency
        return next((one for one in self._instances if len(one.ends_s) < room), None)

    def _started(self, now_s: float) -> _Instance:
        one = _Instance(now_s + self._start_s, standby=False)
        self._instances.append(one)
        self.count.cold_starts += 1
        self.count.peak = max(self.count.peak, len(self._instances))
        return one

    def _advance(self, now_s: float) -> None:
        for one in self._instances:
            self._end(one, now_s)
        gone = [one for one in self._instances if one.gone_s <= now_s]
        if gone:
            for one in gone:
                self.count.up_s += one.gone_s - one.ready_s
            self._instances = [one for one in self._instances if one.gone_s > now_s]

    def _end(self, one: _Instance, now_s: float) -> None:
        """Requests that were done by now; with the last one it turns idle."""
        if not one.ends_s:
            return
        last_s = 0.0
        while one.ends_s and one.ends_s[0] <= now_s:
            last_s = heapq.heappop(one.ends_s)
        if one.ends_s:
            return
        self._count_busy(one, last_s - one.busy_from_s)
        if not one.standby and self._idle_s is not None:
            one.gone_s = last_s + self._idle_s

    def _count_busy(self, one: _Instance, seconds: float) -> None:
        if one.standby:
            self.count.standby_busy_s += seconds
            self.count.standby_busy_spans += 1
        else:
            self.count.busy_s += seconds
            self.count.busy_spans += 1

    def finish(self) -> None:
        """To the end of every instance; what runs over the trace's end is its own all the same."""
        for one in self._instances:
            self._end(one, math.inf)
            if not one.standby:
                self.count.up_s += one.gone_s - one.ready_s
        self._instances = []


def _usage(trace: Trace, serving: Serving, pool: _Pool, spans: Iterable[Span]) -> Usage:
    count, repeats = pool.count, MONTH_S / trace.duration_s
    requests = len(trace.arrivals) * repeats
    busy_s = (count.busy_s + count.standby_busy_s) * repeats
    return Usage(
        requests=requests,
        input_tokens=requests * trace.input_tokens,
        output_tokens=requests * trace.output_tokens,
        spans=tuple(Span(span.seconds, span.count * repeats) for span in spans),
        busy_s=count.busy_s * repeats,
        busy_spans=count.busy_spans * repeats,
        up_s=count.up_s * repeats,
        cold_starts=count.cold_starts * repeats,
        waiting=count.waiting * repeats,
        standby_s=pool.standby * MONTH_S,
        standby_busy_s=count.standby_busy_s * repeats,
        standby_busy_spans=count.standby_busy_spans * repeats,
        peak_instances=count.peak,
        work_load=min(1.0, requests / serving.capacity_per_s / busy_s),
    )
