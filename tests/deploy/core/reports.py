"""A report of two loads, with figures that a test can foretell."""

from __future__ import annotations

from pilotlight.bench.costs import Cost, Costs, Served
from pilotlight.bench.figures import Estimate
from pilotlight.bench.load import Load
from pilotlight.bench.numbers import Numbers
from pilotlight.bench.report import Report, Stage, Tested
from pilotlight.bench.subjects.subject import ColdStart
from pilotlight.metrics import Metrics

SERVED = Served(
    seconds=100.0,
    requests=10,
    input_tokens=40.0,
    output_tokens=60.0,
    ttft_s=0.1,
    request_s=1.0,
    at_once=1.0,
    busy_share=1.0,
)


def stage(at_once: int, study: float | None) -> Stage:
    way = Cost(
        kind="platform", name="x", title="X", usd_per_total_mtok=1.5, usd_per_output_mtok=2.5
    )
    return Stage(
        name=f"{at_once} at once",
        load=Load(kind="closed", concurrency=at_once, duration_s=100.0),
        numbers=Numbers(
            requests=10,
            completed=10,
            total_tokens_per_s=Estimate(100.0, 90.0, 110.0),
            output_tokens_per_s=Estimate(60.0, 50.0, 70.0),
            study_tokens_per_s=study,
        ),
        metrics=Metrics(),
        costs=Costs(served=SERVED, ways=(way,)),
    )


def report(study: float | None) -> Report:
    return Report(
        made_at="2026-11-20T12:00:00Z",
        subject=Tested(name="chat", cold_start=ColdStart(first_token_ms=1234.0)),
        stages=(stage(1, study), stage(8, None if study is None else 8 * study)),
    )
