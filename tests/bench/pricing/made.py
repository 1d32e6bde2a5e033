"""Runs, windows and devices that a test says everything of."""

from __future__ import annotations

from pilotlight.bench.health import GeneratorHealth
from pilotlight.bench.load import Load
from pilotlight.bench.numbers import Window
from pilotlight.bench.record import ErrorKind, Record
from pilotlight.bench.run import Run
from pilotlight.meter.source import Device, Reading


class Clock:
    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class Drawn:
    """One package with a counter that grows as it is told."""

    devices = (
        Device(
            name="package-0",
            kind="cpu",
            title="a package",
            source="measured-rapl",
            method="counter",
            counts_per_j=1000,
        ),
    )

    def __init__(self) -> None:
        self.joules = 0.0

    def read(self) -> tuple[Reading, ...]:
        return (Reading(count=round(self.joules * 1000)),)

    def close(self) -> None:
        pass


def drawn(at_s: float) -> tuple[Drawn, Clock]:
    return Drawn(), Clock(at_s)


def record(
    index: int,
    *,
    sent_s: float,
    first_s: float | None,
    ended_s: float,
    tokens: tuple[int, int] | None = None,
    error: ErrorKind | None = None,
) -> Record:
    return Record(
        index=index,
        scheduled_s=sent_s,
        sent_s=sent_s,
        first_s=first_s,
        last_s=None if first_s is None else ended_s,
        ended_s=ended_s,
        input_tokens=None if tokens is None else tokens[0],
        output_tokens=None if tokens is None else tokens[1],
        error=error,
    )


def run(*records: Record, started_s: float = 0.0) -> Run:
    wall_s = max(each.ended_s for each in records)
    return Run(
        load=Load(kind="closed", concurrency=1),
        records=records,
        health=HEALTHY,
        started_at=0.0,
        started_s=started_s,
        sending_s=wall_s,
        wall_s=wall_s,
        ended_by="requests",
    )


def window(start_s: float, end_s: float) -> Window:
    return Window(start_s=start_s, end_s=end_s, how="as the test says")


HEALTHY = GeneratorHealth(
    lag_p50_ms=0,
    lag_p99_ms=0,
    lag_max_ms=0,
    stall_p99_ms=0,
    stall_max_ms=0,
    cpu_share=0,
    held=0,
    reconnects=0,
)
