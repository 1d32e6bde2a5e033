"""What a month of traffic makes of instances: busy and idle time, starts, who waits for one."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import lru_cache

from pilotlight.planner.cost.pool import pool
from pilotlight.planner.cost.serving import Scaling, Serving, replicas_at_peak
from pilotlight.planner.traffic import HOURS_PER_MONTH, MONTH_S, Traffic


@dataclass(frozen=True, slots=True)
class Span:
    """So many requests that each took so long."""

    seconds: float
    count: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Of a month. Seconds are instance-seconds; those of the minimum instances are kept apart."""

    requests: float
    input_tokens: float
    output_tokens: float
    spans: tuple[Span, ...]
    """Requests by the time that they took."""

    busy_s: float
    """With at least one request."""

    busy_spans: float
    """Times without a pause that make up `busy_s`."""

    up_s: float
    """Busy or idle; starting is not in it."""

    cold_starts: float
    waiting: float
    """Requests that find no instance ready, and wait for a start."""

    standby_s: float
    standby_busy_s: float
    standby_busy_spans: float
    peak_instances: int
    """At once, standby ones counted; what rare moments need beyond is left out."""

    work_load: float
    """Share of one replica's capacity at which instances work while they are busy."""

    @property
    def cold_starts_per_hour(self) -> float:
        return self.cold_starts / HOURS_PER_MONTH

    @property
    def cold_share(self) -> float:
        """Of all requests."""
        return min(1.0, self.waiting / self.requests) if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class _Rates:
    """Of one rate of arrivals: what it does each second, in the mean."""

    requests: float = 0.0
    busy: float = 0.0
    spans: float = 0.0
    up: float = 0.0
    cold: float = 0.0
    waiting: float = 0.0
    standby_busy: float = 0.0
    standby_spans: float = 0.0

    def plus(self, other: _Rates, times: float) -> _Rates:
        return _Rates(*(getattr(self, f) + times * getattr(other, f) for f in _RATES))


_RATES = tuple(field.name for field in fields(_Rates))
PEAK_SHARE = 1e-3
"""An instance that is needed for less of the busiest slot isn't counted in the peak."""


def usage(traffic: Traffic, serving: Serving, scaling: Scaling, start_s: float) -> Usage:
    """What `traffic` at its mean rates needs in a month, with starts of `start_s`."""
    fixed = scaling.idle_s is None
    standby = scaling.minimum
    if fixed and not standby:
        standby = replicas_at_peak(traffic.peak_per_s, serving.capacity_per_s)
    total, spans = _Rates(), []
    for rate, slots in traffic.slots().items():
        now, residence_s = _at(rate, serving, standby, scaling.idle_s, start_s)
        seconds = slots * traffic.slot_s * traffic.cycles_per_month
        total = total.plus(now, seconds)
        spans.append(Span(residence_s, rate * seconds))
    if scaling.idle_s is not None:
        total = _pauses(total, traffic, serving, standby, scaling.idle_s, start_s)
    peak = standby if fixed else _peak(traffic, serving, standby, scaling, start_s)
    return _usage(traffic, serving, total, tuple(spans), standby, peak)


def _usage(
    traffic: Traffic,
    serving: Serving,
    total: _Rates,
    spans: tuple[Span, ...],
    standby: int,
    peak: int,
) -> Usage:
    requests = sum(span.count for span in spans)
    busy_s = total.busy + total.standby_busy
    return Usage(
        requests=requests,
        input_tokens=requests * traffic.input_tokens,
        output_tokens=requests * traffic.output_tokens,
        spans=spans,
        busy_s=total.busy,
        busy_spans=total.spans,
        up_s=total.up,
        cold_starts=total.cold,
        waiting=min(requests, total.waiting),
        standby_s=standby * MONTH_S,
        standby_busy_s=total.standby_busy,
        standby_busy_spans=total.standby_spans,
        peak_instances=peak,
        work_load=min(1.0, requests / serving.capacity_per_s / busy_s),
    )


@lru_cache(maxsize=4096)
def _at(
    rate: float, serving: Serving, standby: int, idle_s: float | None, start_s: float
) -> tuple[_Rates, float]:
    """Each second at a steady rate, and how long a request takes then."""
    if idle_s is None:
        residence_s = serving.settled_s(rate, standby)
        each = rate / standby
        idle = math.exp(-each * residence_s)
        spread = _Rates(requests=rate, standby_busy=standby * (1 - idle), standby_spans=rate * idle)
        return spread, residence_s
    residence_s = serving.settled_s(rate)
    instances = pool(rate, residence_s, serving.concurrency, idle_s, start_s)
    extra = instances.without(standby)
    now = _Rates(
        requests=rate,
        busy=extra.busy,
        spans=extra.starts_per_s,
        up=extra.up,
        cold=extra.cold_per_s,
        waiting=extra.waiting_per_s,
        standby_busy=instances.busy - extra.busy,
        standby_spans=instances.starts_per_s - extra.starts_per_s,
    )
    return now, residence_s


def _pauses(
    total: _Rates,
    traffic: Traffic,
    serving: Serving,
    standby: int,
    idle_s: float,
    start_s: float,
) -> _Rates:
    """Where slots without traffic begin, instances idle to their end; after them they start."""
    for before, after, pause_s in traffic.pauses():
        last, _ = _at(before, serving, standby, idle_s, start_s)
        first, _ = _at(after, serving, standby, idle_s, start_s)
        starts = first.up if pause_s > idle_s else 0.0
        # At a low rate the first request of a slot is a cold one in the mean already: `up` is low.
        waiting = starts * (1 + min(serving.concurrency - 1, after * start_s))
        edge = _Rates(up=last.up * min(idle_s, pause_s), cold=starts, waiting=waiting)
        total = total.plus(edge, traffic.cycles_per_month)
    return total


def _peak(
    traffic: Traffic, serving: Serving, standby: int, scaling: Scaling, start_s: float
) -> int:
    rate = traffic.peak_per_s
    residence_s = serving.settled_s(rate)
    found = pool(rate, residence_s, serving.concurrency, scaling.idle_s or 0.0, start_s)
    return max(1, standby, found.needed(PEAK_SHARE))
