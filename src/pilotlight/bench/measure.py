"""One load against one subject, repeated as often as it takes: the middle of every benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pilotlight.bench.figures import Estimate
from pilotlight.bench.instruments import Instruments
from pilotlight.bench.load import Load
from pilotlight.bench.profile.repeats import Repeats, another
from pilotlight.bench.report import Stage
from pilotlight.bench.run import Run, run_here
from pilotlight.bench.slo import Slo
from pilotlight.bench.subjects.endpoint import is_cold
from pilotlight.bench.subjects.subject import Subject
from pilotlight.bench.summarize import summarize, valued
from pilotlight.bench.target import Target
from pilotlight.bench.workloads.workload import Workload

if TYPE_CHECKING:
    from pilotlight.meter.energy import Energy


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A stage, and whether somebody stopped it midway."""

    stage: Stage
    runs: tuple[Run, ...] = field(repr=False)

    @property
    def stopped(self) -> bool:
        return self.runs[-1].ended_by == "stopped"


def measure(
    subject: Subject,
    workload: Workload,
    load: Load,
    slo: Slo | None = None,
    *,
    name: str | None = None,
    repeats: Repeats | None = None,
    instruments: Instruments | None = None,
    timeout_s: float = 600.0,
) -> Measured:
    """Each run has other arrivals and other requests of the same kind, by the load's seed.

    Blocks, and takes Ctrl-C for the end of the run. Two subjects get the very same.

    Raises:
        ServerUnreachableError: nobody answers at all.
        ConfigError: the load can't be.
    """
    repeats, instruments = repeats or Repeats(), instruments or Instruments()
    called = name or load_name(load)
    instruments.view.stage(called, load, slo)
    runs: list[Run] = []
    while True:
        try:
            runs.append(_run(subject, workload, load, len(runs), instruments, timeout_s))
            stage = _summary(runs, load, slo, called, repeats.within)
        except KeyboardInterrupt:  # between two runs: what they measured is kept
            if not runs:
                raise
            runs[-1] = replace(runs[-1], ended_by="stopped")
            stage = _summary(runs, load, slo, called, repeats.within)
        if runs[-1].ended_by == "stopped" or not another(stage.stability, len(runs), repeats):
            instruments.view.finished(outcome(stage, runs))
            return Measured(stage=_valued(stage, runs, instruments), runs=tuple(runs))


def _summary(runs: Sequence[Run], load: Load, slo: Slo | None, name: str, within: float) -> Stage:
    """A list that is asked from its first to its last has no steady part to be found."""
    listed = load.duration_s is None
    return summarize(runs, load, slo, name=name, whole=listed, stable_within=within)


def target_of(subject: Subject, timeout_s: float = 600.0) -> Target:
    return Target(url=subject.url, model=subject.model, key=subject.key, timeout_s=timeout_s)


def load_name(load: Load) -> str:
    """What a stage is called unless it is told."""
    if load.kind == "closed":
        return f"{load.concurrency} at once"
    if load.kind == "replay":
        return f"replay at {load.speed:g}x"
    if load.kind == "ramp":
        return f"ramp {load.requests_per_s or 0:g} to {load.to_requests_per_s:g}/s"
    return f"{load.kind} {load.requests_per_s:g}/s"


def outcome(stage: Stage, runs: Sequence[Run]) -> str:
    """One line of what came of it, with the first error as the server put it."""
    numbers = stage.numbers
    errors = sum(numbers.errors.values())
    ttft = numbers.ttft_ms.p50 if numbers.ttft_ms else None
    failed = next((one for run in runs for one in run.records if not one.ok), None)
    parts = (
        f"{numbers.completed} answers",
        f"{errors} errors" if errors else "",
        f"the first {failed.error}: {failed.message}" if failed else "",
        _figure(numbers.requests_per_s, "requests/s"),
        _figure(numbers.output_tokens_per_s, "output tokens/s"),
        _figure(ttft, "ms to the first token"),
        f"{numbers.slo_share.value:.1%} within the service level" if numbers.slo_share else "",
    )
    return f"{stage.name}: {', '.join(filter(None, parts))}"


def _figure(estimate: Estimate | None, unit: str) -> str:
    return "" if estimate is None else f"{estimate.value:.3g} {unit}"


def _run(
    subject: Subject,
    workload: Workload,
    load: Load,
    nth: int,
    instruments: Instruments,
    timeout_s: float,
) -> Run:
    seed = load.seed + nth
    return run_here(
        target_of(subject, timeout_s),
        workload.asks(seed),
        replace(load, seed=seed),
        on_record=instruments.view.on_record,
        on_tick=instruments.view.on_tick,
        cold=is_cold(subject),
    )


def _valued(stage: Stage, runs: Sequence[Run], instruments: Instruments) -> Stage:
    """With what it took of electricity and money, where anybody knows."""
    energy = _energy(stage, runs, instruments)
    costs = None
    if instruments.price is not None:
        from pilotlight.bench.served import served

        watts = energy.mean_w if energy is not None else None
        what = served(runs, stage.windows, watts)
        costs = instruments.price(what, energy) if what is not None else None
    return valued(stage, energy, costs)


def _energy(stage: Stage, runs: Sequence[Run], instruments: Instruments) -> Energy | None:
    if instruments.meter is None:
        return None
    from pilotlight.bench.joules import energy_of

    instruments.meter.mark()
    return energy_of(runs, stage.windows, instruments.meter.series(), instruments.idle)
