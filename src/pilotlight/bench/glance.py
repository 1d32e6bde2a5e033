"""What a run has brought so far, for somebody who watches: recent figures, not the report's."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pilotlight.bench.load import Load
from pilotlight.bench.record import Record
from pilotlight.bench.run import Progress
from pilotlight.bench.slo import Slo

RECENT_S = 10.0
"""Rates are over this long."""

RECENT_ANSWERS = 400
"""Percentiles are over so many at most: a glance costs the same in the tenth hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """Latencies are sorted. `share` is how far the stage is, None where nobody knows its end."""

    name: str
    load: Load
    slo: Slo | None
    elapsed_s: float
    share: float | None
    done: int
    in_flight: int
    waiting: int
    warmup: int
    errors: Mapping[str, int] = field(default_factory=dict)
    requests_per_s: float = 0.0
    output_tokens_per_s: float = 0.0
    ttft_ms: Sequence[float] = ()
    tpot_ms: Sequence[float] = ()
    kept: float | None = None
    """Share of all so far that met the service level."""

    lag_ms: float | None = None
    """The latest request's."""


class Watched:
    """One stage as it goes; adding costs the same however many came before."""

    def __init__(self, name: str, load: Load, slo: Slo | None, began_s: float) -> None:
        self._name, self._load, self._slo, self._began_s = name, load, slo, began_s
        self._recent: deque[tuple[float, int]] = deque()
        self._recent_tokens = 0
        self._ttft_ms: deque[float] = deque(maxlen=RECENT_ANSWERS)
        self._tpot_ms: deque[float] = deque(maxlen=RECENT_ANSWERS)
        self._errors: Counter[str] = Counter()
        self._done = self._warmup = self._measured = self._kept = 0
        self._lag_ms: float | None = None
        self._progress: Progress | None = None

    def add(self, record: Record, now_s: float) -> None:
        self._done += 1
        self._recent.append((now_s, record.output_tokens or 0))
        self._recent_tokens += record.output_tokens or 0
        self._forget(now_s)
        self._lag_ms = record.lag_ms
        if record.error:
            self._errors[record.error] += 1
        self._warmup += record.warmup
        if not record.warmup:
            self._measured += 1
            self._kept += self._slo is not None and self._slo.met_by(record)
            self._add_latencies(record)

    def _add_latencies(self, record: Record) -> None:
        if record.ttft_ms is not None:
            self._ttft_ms.append(record.ttft_ms)
        if record.tpot_ms is not None:
            self._tpot_ms.append(record.tpot_ms)

    def progress(self, progress: Progress) -> None:
        self._progress = progress

    def glance(self, now_s: float) -> Glance:
        self._forget(now_s)
        elapsed_s = now_s - self._began_s
        over_s = max(min(elapsed_s, RECENT_S), 1e-3)
        told = self._progress
        return Glance(
            name=self._name, load=self._load, slo=self._slo, elapsed_s=elapsed_s,
            share=self._share(elapsed_s), done=self._done, warmup=self._warmup,
            in_flight=told.in_flight if told else 0, waiting=told.waiting if told else 0,
            errors=dict(self._errors), requests_per_s=len(self._recent) / over_s,
            output_tokens_per_s=self._recent_tokens / over_s,
            ttft_ms=sorted(self._ttft_ms), tpot_ms=sorted(self._tpot_ms),
            kept=self._kept / self._measured if self._slo and self._measured else None,
            lag_ms=self._lag_ms,
        )  # fmt: skip

    def _share(self, elapsed_s: float) -> float | None:
        """A stage ends at whichever of its bounds comes first."""
        load = self._load
        shares = []
        if load.duration_s:
            shares.append(elapsed_s / load.duration_s)
        if load.requests:
            shares.append(self._done / (load.requests + load.warmup_requests))
        return min(max(shares), 1.0) if shares else None

    def _forget(self, now_s: float) -> None:
        while self._recent and self._recent[0][0] < now_s - RECENT_S:
            self._recent_tokens -= self._recent.popleft()[1]
