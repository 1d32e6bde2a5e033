"""Rates corrected by what benchmarks measured: every report makes the next plan better.

A report says two things of a device: how long its tokens took and how long its prompts did. Reading
and everything that is paid by the step follow the former, products the latter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from pilotlight.errors import PlanError
from pilotlight.metrics import Metrics
from pilotlight.planner.rates import Rate, Rates
from pilotlight.planner.reported import Reported
from pilotlight.planner.requirements import Lengths
from pilotlight.planner.roofline import Setup, Stage
from pilotlight.planner.speed import at_concurrency

FEW_TOKENS = 64
"""Up to so many at once are answers; more are a prompt."""

LEAST_ERROR = 0.05
"""Of what is predicted with corrected rates: runs repeat no better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One closed-loop run of a model; `setup` has the rates that are to be corrected."""

    setup: Setup
    lengths: Lengths
    concurrency: float
    metrics: Metrics


def closed_loop(setup: Setup, runs: Iterable[Reported]) -> list[Measured]:
    """Those of `runs` that say how long their requests were and how many ran at once."""
    return [
        Measured(
            setup=setup,
            lengths=run.lengths,
            concurrency=max(run.concurrency, 1.0),
            metrics=run.metrics,
        )
        for run in runs
        if run.lengths is not None and run.concurrency is not None
    ]


def recalibrated(rates: Rates, runs: Sequence[Measured], source: str, as_of: str) -> Rates:
    """`rates` with which the medians of `runs` come out, as far as two factors can.

    Raises:
        PlanError: no run has a TPOT.
    """
    steps = _factor(runs, "tpot_ms")
    if steps is None:
        raise PlanError(
            "no report has a TPOT to correct the rates by",
            hint="give one that streamed answers of more than one token",
        )
    slower = _slower(rates, steps, 1.0)
    products = _factor([_with(run, slower) for run in runs], "ttft_ms") or 1.0
    corrected = _slower(rates, steps, products)
    left = [abs(math.log(ratio)) for run in runs for ratio in _ratios(_with(run, corrected))]
    error = max(math.expm1(median(left)), LEAST_ERROR)
    return replace(corrected, error=error, source=source, as_of=as_of)


def _slower(rates: Rates, steps: float, products: float) -> Rates:
    """Everything takes `steps` times as long, and products `products` times that.

    Where a few tokens at once have a rate of their own, it belongs to the steps: prompts say
    nothing of it.
    """

    def rate(found: Rate) -> Rate:
        apart = len(found.points) > 1
        points = tuple(
            (tokens, flop_s / steps / (1.0 if apart and tokens <= FEW_TOKENS else products))
            for tokens, flop_s in found.points
        )
        return Rate(found.read_bytes_s / steps, points)

    return replace(
        rates,
        types={name: rate(found) for name, found in rates.types.items()},
        attention=rate(rates.attention),
        link_bytes_s=rates.link_bytes_s / steps if rates.link_bytes_s else None,
        **{name: getattr(rates, name) * steps for name in PAID_BY_THE_STEP},
    )


PAID_BY_THE_STEP = (
    "step_s", "layer_s", "expert_layer_s", "width_s", "sequence_s", "vocabulary_s", "allreduce_s",
)  # fmt: skip


def _with(run: Measured, rates: Rates) -> Measured:
    stages = tuple(
        Stage(stage.device, rates, stage.share, stage.ranks, stage.head)
        if stage.rates.device == rates.device
        else stage
        for stage in run.setup.stages
    )
    return replace(run, setup=Setup(run.setup.work, stages))


def _factor(runs: Sequence[Measured], figure: str) -> float | None:
    """By how much longer it took than predicted, in the median."""
    found = [ratio for run in runs if (ratio := _ratio(run, figure)) is not None]
    return median(found) if found else None


def _ratios(run: Measured) -> list[float]:
    found = (_ratio(run, figure) for figure in ("tpot_ms", "ttft_ms"))
    return [ratio for ratio in found if ratio is not None]


def _ratio(run: Measured, figure: str) -> float | None:
    measured = getattr(run.metrics, figure)
    predicted = getattr(at_concurrency(run.setup, run.lengths, run.concurrency).metrics, figure)
    if measured is None or predicted is None or measured.median <= 0:
        return None
    return float(measured.median / predicted.median)
