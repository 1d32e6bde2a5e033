"""From a benchmark's stage to what the search looks at."""

from __future__ import annotations

from collections.abc import Iterable

from pilotlight.bench.figures import Distribution, Estimate
from pilotlight.bench.measure import Measured
from pilotlight.bench.record import Record
from pilotlight.bench.slo import Slo
from pilotlight.quantities import about_seconds
from pilotlight.tune.trial import Outcome


def outcome(measured: Measured, slo: Slo, *, wall_s: float, started: bool) -> Outcome:
    """Of one run; it failed where the time was over before anybody asked a second time."""
    numbers = measured.stage.numbers
    if not numbers.requests:
        took_s = about_seconds(measured.runs[-1].sending_s)
        return Outcome(
            wall_s=wall_s, failed=f"nobody had an answer within {took_s}", started=started
        )
    tokens_per_s = _value(numbers.output_tokens_per_s)
    energy = measured.stage.energy
    return Outcome(
        wall_s=wall_s,
        requests=numbers.requests,
        errors=sum(numbers.errors.values()),
        met_share=_value(numbers.slo_share),
        goodput_per_s=_value(numbers.goodput_per_s),
        good_output_tokens_per_s=tokens_per_s * _good_share(measured.runs[-1].records, slo),
        output_tokens_per_s=tokens_per_s,
        total_tokens_per_s=_value(numbers.total_tokens_per_s),
        ttft_tail_ms=_tail(numbers.ttft_ms, slo),
        tpot_tail_ms=_tail(numbers.tpot_ms, slo),
        watts=energy.mean_w if energy else None,
        energy_source=energy.source if energy else None,
        limited_by_generator=any(health.was_limit for health in measured.stage.health),
        started=started,
    )


def _value(estimate: Estimate | None) -> float:
    return estimate.value if estimate else 0.0


def _tail(found: Distribution | None, slo: Slo) -> float | None:
    """At the service level's share; of few requests, at the highest percentile they can tell."""
    for percentile in (100 * slo.share, 95.0, 90.0, 50.0):
        estimate = found.at(percentile) if found and percentile <= 100 * slo.share else None
        if estimate is not None:
            return estimate.value
    return None


def _good_share(records: Iterable[Record], slo: Slo) -> float:
    """Of the output tokens, those of requests that met the service level."""
    counted = [record for record in records if not record.warmup and record.ok]
    tokens = sum(record.output_tokens or 0 for record in counted)
    good = sum(record.output_tokens or 0 for record in counted if slo.met_by(record))
    return good / tokens if tokens else 0.0
