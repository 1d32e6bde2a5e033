"""From records with known times to what the search looks at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pilotlight.bench.health import GeneratorHealth
from pilotlight.bench.load import Load
from pilotlight.bench.measure import Measured
from pilotlight.bench.record import Record
from pilotlight.bench.run import Run
from pilotlight.bench.slo import Slo
from pilotlight.bench.summarize import summarize
from pilotlight.tune.measured import outcome

SLO = Slo(ttft_ms=500, share=0.9)
HEALTHY = GeneratorHealth(
    lag_p50_ms=0.1, lag_p99_ms=0.2, lag_max_ms=0.3, stall_p99_ms=0.1, stall_max_ms=0.2,
    cpu_share=0.1, held=0, reconnects=0,
)  # fmt: skip


def record(index: int, *, ttft_s: float, tokens: int = 10, error: bool = False) -> Record:
    """One a second, each answered within the next."""
    due_s = float(index)
    return Record(
        index=index,
        scheduled_s=due_s,
        sent_s=due_s,
        first_s=None if error else due_s + ttft_s,
        last_s=None if error else due_s + 0.99,
        ended_s=due_s + 0.99,
        input_tokens=30,
        output_tokens=None if error else tokens,
        error="server" if error else None,
        status=500 if error else 200,
    )


def measured(records: list[Record]) -> Measured:
    load = Load(kind="constant", requests_per_s=1.0, duration_s=float(len(records)))
    run = Run(
        load=load, records=tuple(records), health=HEALTHY, started_at=0.0, started_s=0.0,
        sending_s=float(len(records)), wall_s=float(len(records)), ended_by="duration",
    )  # fmt: skip
    return Measured(stage=summarize([run], load, SLO), runs=(run,))


def test_goodput_counts_what_met_the_service_level() -> None:
    """Of forty requests ten are late and two fail; the late ones have as many tokens."""
    records = [record(n, ttft_s=0.9 if n % 4 == 0 else 0.1, error=n in (1, 2)) for n in range(40)]
    found = outcome(measured(records), SLO, wall_s=50.0, started=True)
    assert found.requests == 40
    assert found.errors == 2
    assert found.met_share == pytest.approx(28 / 40)
    assert found.goodput_per_s == pytest.approx(28 / 40, rel=0.03)
    assert found.output_tokens_per_s == pytest.approx(38 * 10 / 40, rel=0.03)
    assert found.good_output_tokens_per_s == pytest.approx(28 * 10 / 40, rel=0.03)
    assert found.ttft_tail_ms == pytest.approx(900, rel=0.01)
    assert (found.wall_s, found.started, found.failed) == (50.0, True, None)


def test_what_nothing_was_told_of_is_nothing() -> None:
    found = outcome(measured([record(0, ttft_s=0.1, error=True)]), SLO, wall_s=1.0, started=False)
    assert (found.goodput_per_s, found.met_share) == (0.0, 0.0)
    assert found.ttft_tail_ms is None
    assert found.watts is None


def test_a_time_that_was_over_before_anybody_asked_twice() -> None:
    """All users were still waiting for what warms up: nothing is known, and it isn't called 0."""
    waiting = [replace(record(n, ttft_s=0.1), warmup=True) for n in range(4)]
    found = outcome(measured(waiting), SLO, wall_s=9.0, started=True)
    assert found.failed == "nobody had an answer within 4.0 s"
