"""What a plan predicts and a benchmark measures: one type, so that an error is a subtraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EnergySource = Literal["measured-nvml", "measured-rapl", "estimated-tdp"]


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure and how far it may be off: a prediction's interval, a measurement's quartiles."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """One workload on one deployment; anything unknown is None, never zero.

    `ttft_ms` counts from when a request was due, not from when it was sent; `tpot_ms` is the time
    after the first token over the tokens after it. The percentiles of latencies are those of the
    service level, so that a plan and a report compare like with like.
    """

    ttft_ms: Spread | None = None
    ttft_tail_ms: Spread | None = None
    tpot_ms: Spread | None = None
    tpot_tail_ms: Spread | None = None
    tail_percentile: float | None = None
    requests_per_s: Spread | None = None
    output_tokens_per_s: Spread | None = None
    total_tokens_per_s: Spread | None = None
    """Prompt and output together, over wall time."""

    joules_per_output_token: Spread | None = None
    energy_source: EnergySource | None = None
    usd_per_mtok: Spread | None = None
    """For a million output tokens that met the service level; prompts are part of the cost."""
