"""Runs in, a stage out: pure, and the same for the same runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Protocol

from pilotlight.bench.answer import itl_ms, own_rate
from pilotlight.bench.as_metrics import as_metrics, usd_per_mtok
from pilotlight.bench.figures import Distribution, Estimate
from pilotlight.bench.health import GeneratorHealth
from pilotlight.bench.load import Load
from pilotlight.bench.numbers import ColdRequest, Excluded, Numbers, Stability, Window
from pilotlight.bench.part import (
    Part,
    in_flight_s,
    input_tokens,
    output_tokens,
    part_of,
    requests,
    wall_s,
)
from pilotlight.bench.record import Record
from pilotlight.bench.report import Stage
from pilotlight.bench.rows import columns, slices
from pilotlight.bench.slicing import Pieces, width_s
from pilotlight.bench.slo import Slo
from pilotlight.bench.stability import stability
from pilotlight.bench.statistics.bootstrap import FEWEST_RUNS, proportion, rate
from pilotlight.bench.statistics.dependence import FEWEST_BLOCKS
from pilotlight.bench.statistics.distributions import clustered, distribution
from pilotlight.bench.steady import drift, watched

if TYPE_CHECKING:
    from pilotlight.bench.costs import Costs
    from pilotlight.meter.energy import Energy

STABLE_WITHIN = 0.05


class Run(Protocol):
    """What is read of a run; the generator's has more."""

    @property
    def records(self) -> Sequence[Record]: ...
    @property
    def health(self) -> GeneratorHealth | None: ...
    @property
    def started_at(self) -> float: ...
    @property
    def unfinished(self) -> int: ...
    @property
    def dropped_turns(self) -> int: ...


def summarize(
    runs: Sequence[Run],
    load: Load,
    slo: Slo | None = None,
    *,
    name: str | None = None,
    whole: bool = False,
    stable_within: float = STABLE_WITHIN,
) -> Stage:
    """`runs` repeat one load; their requests are pooled, each run in its own steady window.

    With `whole` the window is all that the load was on, as a list of prompts that is asked from
    its first to its last wants it. `stable_within` is how well the judged figure is to be known.
    """
    width = width_s([max((one.ended_s for one in run.records), default=0.0) for run in runs])
    parts = [part_of(run.records, load, slo, width, whole) for run in runs]
    numbers = _numbers(parts, slo)
    return Stage(
        name=name or load.kind,
        load=load,
        numbers=numbers,
        metrics=as_metrics(numbers, [one for part in parts for one in part.counted], slo),
        groups=_groups(parts, slo),
        started_at=runs[0].started_at if runs else None,
        wall_s=sum(wall_s(run.records) for run in runs),
        runs=len(runs),
        windows=tuple(part.window for part in parts),
        excluded=_excluded(parts),
        cold=tuple(_cold(parts)),
        stability=_stability(parts, numbers, load, stable_within),
        by_run=_by_run(parts, slo),
        health=tuple(run.health for run in runs if run.health is not None),
        columns=columns(parts),
        slices=slices(parts),
        notes=tuple(_notes(runs, numbers)),
    )


def valued(stage: Stage, energy: Energy | None = None, costs: Costs | None = None) -> Stage:
    """With what it took of electricity and money, also in its metrics."""
    metrics = stage.metrics
    if energy is not None:
        metrics = replace(
            metrics,
            joules_per_output_token=energy.joules_per_output_token,
            energy_source=energy.source,
        )
    if costs is not None:
        metrics = replace(metrics, usd_per_mtok=usd_per_mtok(costs, stage.numbers))
    return replace(stage, energy=energy, costs=costs, metrics=metrics)


def _numbers(parts: Sequence[Part], slo: Slo | None) -> Numbers:
    seconds = sum(part.window.seconds for part in parts)
    numbers = _latencies([one for part in parts for one in part.counted], slo)
    if seconds <= 0:
        return numbers
    # Slices of one answer are no two facts, however many they are; runs are, whatever is in them.
    few = numbers.completed < FEWEST_BLOCKS and len(parts) < FEWEST_RUNS

    def over(
        amount: Callable[[Part], float], series: Callable[[Pieces], Sequence[float]]
    ) -> Estimate:
        whole = sum(amount(part) for part in parts) / seconds
        slices = [] if few else [part.slices(series(part.pieces)) for part in parts]
        return rate(whole, slices)

    found = replace(
        numbers,
        requests_per_s=over(requests, lambda found: found.completed),
        output_tokens_per_s=over(output_tokens, lambda found: found.output_tokens),
        total_tokens_per_s=over(
            lambda part: output_tokens(part) + input_tokens(part),
            lambda found: found.total_tokens,
        ),
        goodput_per_s=over(lambda part: requests(part, slo), lambda found: found.good)
        if slo is not None
        else None,
        study_tokens_per_s=_study_rate(parts),
        concurrency=sum(in_flight_s(part) for part in parts) / seconds,
    )
    return _known(found)


def _known(numbers: Numbers) -> Numbers:
    """Where no answer says how many tokens it had, their rate is unknown, and not 0."""
    if numbers.completed and numbers.output_tokens is None:
        return replace(numbers, output_tokens_per_s=None, total_tokens_per_s=None)
    if numbers.completed and numbers.input_tokens is None:
        return replace(numbers, total_tokens_per_s=None)
    return numbers


def _latencies(counted: Sequence[Record], slo: Slo | None) -> Numbers:
    """All that needs no window but the requests due in it."""
    done = [record for record in counted if record.ok]
    return Numbers(
        requests=len(counted),
        completed=len(done),
        errors=dict(Counter(one.error for one in counted if one.error is not None)),
        ttft_ms=distribution(one.ttft_ms for one in done),
        ttft_from_send_ms=distribution(one.ttft_from_send_ms for one in done),
        itl_ms=clustered(itl_ms(one) for one in done),
        tpot_ms=distribution(one.tpot_ms for one in done),
        e2e_ms=distribution(one.e2e_ms for one in done),
        server_queue_ms=distribution(one.server_queue_ms for one in done),
        server_ttft_ms=distribution(one.server_ttft_ms for one in done),
        request_output_tokens_per_s=distribution(map(own_rate, done)),
        input_tokens=distribution(one.input_tokens for one in done),
        output_tokens=distribution(one.output_tokens for one in done),
        cached_tokens=distribution(one.cached_tokens for one in done),
        slo_share=proportion([slo.met_by(one) for one in counted]) if slo else None,
    )


def _study_rate(parts: Sequence[Part]) -> float | None:
    """Cold starts are part of it: of the tokens and of the time."""
    measured = [one for part in parts for one in part.records if not one.warmup]
    seconds = sum(wall_s(part.records) for part in parts)
    if seconds <= 0 or any(one.ok and one.output_tokens is None for one in measured):
        return None
    done = (one for one in measured if one.ok)
    return sum((one.input_tokens or 0) + (one.output_tokens or 0) for one in done) / seconds


def _groups(parts: Sequence[Part], slo: Slo | None) -> dict[str, Numbers]:
    by_name: dict[str, list[Record]] = {}
    for part in parts:
        for record in part.counted:
            by_name.setdefault(record.group, []).append(record)
    by_name.pop("", None)
    return {name: _latencies(found, slo) for name, found in sorted(by_name.items())}


def _excluded(parts: Sequence[Part]) -> Excluded:
    kinds: Counter[str] = Counter()
    for part in parts:
        kinds.update(_left_out(one, part.window) for one in part.records)
    kinds.pop("", None)
    return Excluded(**kinds)


def _left_out(record: Record, found: Window) -> str:
    if record.warmup:
        return "warmup"
    if record.cold:
        return "cold"
    if record.scheduled_s < found.start_s:
        return "before_window"
    return "after_window" if record.scheduled_s > found.end_s else ""


def _cold(parts: Sequence[Part]) -> Iterable[ColdRequest]:
    for run, part in enumerate(parts):
        for one in part.records:
            if one.cold:
                yield ColdRequest(
                    run=run, scheduled_s=one.scheduled_s, ttft_ms=one.ttft_ms, e2e_ms=one.e2e_ms,
                    error=one.error,
                )  # fmt: skip


def _by_run(parts: Sequence[Part], slo: Slo | None) -> Mapping[str, tuple[float | None, ...]]:
    figures: dict[str, Callable[[Part], float | None]] = {
        "requests_per_s": lambda part: _over_window(part, requests(part)),
        "output_tokens_per_s": lambda part: _over_window(part, output_tokens(part)),
        "total_tokens_per_s": lambda part: _over_window(
            part, output_tokens(part) + input_tokens(part)
        ),
        "ttft_ms": lambda part: _median(one.ttft_ms for one in part.counted if one.ok),
        "tpot_ms": lambda part: _median(one.tpot_ms for one in part.counted if one.ok),
        "e2e_ms": lambda part: _median(one.e2e_ms for one in part.counted if one.ok),
    }
    if slo is not None:
        figures["goodput_per_s"] = lambda part: _over_window(part, requests(part, slo))
        figures["slo_share"] = lambda part: _share(slo, part.counted)
    return {name: tuple(map(figure, parts)) for name, figure in figures.items()}


def _over_window(part: Part, amount: float) -> float | None:
    return amount / part.window.seconds if part.window.seconds > 0 else None


def _median(found: Iterable[float | None]) -> float | None:
    known = [one for one in found if one is not None]
    return median(known) if known else None


def _share(slo: Slo, counted: Sequence[Record]) -> float | None:
    return sum(map(slo.met_by, counted)) / len(counted) if counted else None


def _stability(parts: Sequence[Part], numbers: Numbers, load: Load, goal: float) -> Stability:
    figure, pooled = _judged(numbers, load)
    by_run = [value for value in _by_run(parts, None)[figure] if value is not None]
    drifts = [] if load.kind == "ramp" else [_drift(part, load) for part in parts]
    return stability(
        figure=figure,
        pooled=pooled,
        by_run=by_run,
        requests=numbers.requests,
        drifts=[f"run {run + 1}: {text}" for run, text in enumerate(drifts) if text],
        goal=goal,
    )


def _judged(numbers: Numbers, load: Load) -> tuple[str, Estimate | None]:
    if load.kind != "closed":
        return "e2e_ms", numbers.e2e_ms.p50 if numbers.e2e_ms else None
    if numbers.output_tokens_per_s is None:
        return "requests_per_s", numbers.requests_per_s
    return "output_tokens_per_s", numbers.output_tokens_per_s


def _drift(part: Part, load: Load) -> str:
    moved = drift(part.slices(watched(load, part.pieces)))
    if moved is None:
        return ""
    first, last = moved
    if load.kind != "closed":
        why = "more came than was answered" if last > first else "a backlog emptied"
        return f"requests in hand went from {first:.3g} to {last:.3g}: {why}"
    return (
        f"the output rate went from {first / part.pieces.width_s:.4g} to "
        f"{last / part.pieces.width_s:.4g} tokens/s"
    )


def _notes(runs: Sequence[Run], numbers: Numbers) -> Iterable[str]:
    for nth, run in enumerate(runs):
        if run.health is not None and run.health.was_limit:
            yield f"run {nth + 1}: {run.health.verdict}"
        if run.unfinished:
            yield f"run {nth + 1} was stopped: {run.unfinished} then in flight are in no figure"
        if run.dropped_turns:
            yield f"run {nth + 1}: {run.dropped_turns} later turns of sessions were never sent"
    yield from _unmeasured(numbers)
    if numbers.requests and numbers.completed < numbers.requests:
        failed = numbers.requests - numbers.completed
        yield f"{failed} of {numbers.requests} requests failed; latencies are of the others"


def _unmeasured(numbers: Numbers) -> Iterable[str]:
    """What a server left out of its answers."""
    done = numbers.completed
    silent = done - _count(numbers.output_tokens)
    if silent:
        effect = "too low" if silent < done else "unknown"
        yield (
            f"{silent} of {done} answers came without usage: their tokens aren't counted, so that "
            f"rates of tokens are {effect}"
        )
    whole = done - _count(numbers.tpot_ms)
    if not silent and whole > done / 2:
        yield (
            f"{whole} of {done} answers came in one piece: their TTFT is all of their time, and "
            "they have no TPOT"
        )


def _count(found: Distribution | None) -> int:
    return (found.count or 0) if found is not None else 0
