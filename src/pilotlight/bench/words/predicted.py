"""What a plan predicted held against what was measured: both are the same type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pilotlight.bench.figures import Estimate
from pilotlight.bench.report import Report
from pilotlight.metrics import Metrics, Spread
from pilotlight.planner.figures import number


@dataclass(frozen=True, slots=True)
class Deviation:
    """`ratio` is measured over predicted, its bounds those of the measurement alone."""

    name: str
    predicted: str
    measured: str
    ratio: Estimate
    verdict: str


def deviations(report: Report) -> tuple[Deviation, ...]:
    """Of every figure that both have, in the chosen stage."""
    if report.predicted is None:
        return ()
    return tuple(_deviations(report.predicted.metrics, report.stage.metrics))


def _deviations(predicted: Metrics, measured: Metrics) -> Iterator[Deviation]:
    for field, name, unit in _named(predicted, measured):
        said: Spread | None = getattr(predicted, field)
        found: Spread | None = getattr(measured, field)
        if said is not None and found is not None and said.median > 0:
            ratio = Estimate(*(each / said.median for each in _bounds(found)))
            yield Deviation(
                f"{name}, {unit}" if unit else name,
                _words(said), _words(found), ratio, _verdict(said, found),
            )  # fmt: skip


def _named(predicted: Metrics, measured: Metrics) -> Iterator[tuple[str, str, str]]:
    """Tails of two different percentiles are two different figures."""
    same_tail = predicted.tail_percentile == measured.tail_percentile
    tail = f" p{predicted.tail_percentile:g}" if predicted.tail_percentile else " tail"
    yield "ttft_ms", "TTFT", "ms"
    if same_tail:
        yield "ttft_tail_ms", f"TTFT{tail}", "ms"
    yield "tpot_ms", "TPOT", "ms"
    if same_tail:
        yield "tpot_tail_ms", f"TPOT{tail}", "ms"
    yield "requests_per_s", "requests/s", ""
    yield "output_tokens_per_s", "output tokens/s", ""
    yield "total_tokens_per_s", "total tokens/s", ""
    yield "joules_per_output_token", "J per output token", ""
    yield "usd_per_mtok", "$ per million output tokens", ""


def _bounds(found: Spread) -> tuple[float, float, float]:
    return found.median, found.low, found.high


def _words(found: Spread) -> str:
    if found.low == found.high:
        return number(found.median)
    return f"{number(found.median)} ({number(found.low)} to {number(found.high)})"


def _verdict(said: Spread, found: Spread) -> str:
    if found.high < said.low:
        return "below what was predicted"
    if found.low > said.high:
        return "above what was predicted"
    if said.low <= found.median <= said.high:
        return "within the prediction"
    return "the intervals overlap"
