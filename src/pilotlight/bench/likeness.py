"""Whether two reports measured the same thing, so that their ratio means something."""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.bench.figures import Distribution
from pilotlight.bench.load import Load
from pilotlight.bench.numbers import Numbers
from pilotlight.bench.report import Report, Stage
from pilotlight.errors import BenchError

SHOWN = 0.02
"""Relative difference of mean lengths from which it is told."""

REFUSED = 0.25
"""Of the prompts, from which two reports are of other work. A model may well answer longer."""


def refuse_unlike(a: Report, b: Report) -> None:
    """Raises BenchError where they are of different work: no ratio of theirs says anything."""
    if a.workload and b.workload and a.workload.name != b.workload.name:
        raise BenchError(
            f"{a.subject.name} was asked {a.workload.name!r}, {b.subject.name} {b.workload.name!r}",
            hint="measure both with one workload",
        )
    for ours, theirs in pairs(a, b):
        apart = _apart(ours.numbers.input_tokens, theirs.numbers.input_tokens)
        if apart is not None and abs(apart) > REFUSED:
            raise BenchError(
                f"prompts of {b.subject.name} are {_percent(apart)} than those of {a.subject.name}",
                hint="measure both with one workload",
            )


def pairs(a: Report, b: Report) -> list[tuple[Stage, Stage]]:
    """Stages under one load, each at most once; of reports with one stage each, those.

    Raises:
        BenchError: they share no load.
    """
    left = list(b.stages)
    found = []
    for stage in a.stages:
        other = next((one for one in left if same_load(stage.load, one.load)), None)
        if other is not None:
            left.remove(other)
            found.append((stage, other))
    if not found:
        raise BenchError(
            f"no load of {a.subject.name} ({_loads(a)}) is one of {b.subject.name} ({_loads(b)})",
            hint="measure both with the same arrivals",
        )
    return found


def same_load(a: Load | None, b: Load | None) -> bool:
    """Seeds, lengths of the runs and warm-ups may differ; None is unknown, and taken for equal."""
    if a is None or b is None:
        return True
    return _shape(a) == _shape(b)


def _shape(load: Load) -> tuple[object, ...]:
    if load.kind == "closed":
        return ("closed", load.concurrency)
    rates = (load.requests_per_s, load.to_requests_per_s)
    return (load.kind, *rates, load.burstiness, load.speed)


def _loads(report: Report) -> str:
    return ", ".join(stage.name for stage in report.stages)


def cautions(a: Report, b: Report) -> Iterator[str]:
    """What else differs, and what neither can be trusted for: one sentence each."""
    if a.tool != b.tool:
        yield f"measured by different tools: {a.tool} and {b.tool}"
    if a.workload and b.workload and a.workload.digest != b.workload.digest:
        yield "the requests weren't the very same: their texts or seeds differ"
    if a.slo != b.slo:
        yield "held against different service levels: goodput isn't comparable"
    if a.machine != b.machine and a.machine and b.machine:
        machines = (f"{one.cpu} x{one.cores}" for one in (a.machine, b.machine))
        yield f"on different machines: {' and '.join(machines)}"
    for ours, theirs in pairs(a, b):
        for text in (
            *_seeds(ours.load, theirs.load),
            *_lengths(ours.numbers, theirs.numbers),
            *_doubts(a, ours),
            *_doubts(b, theirs),
        ):
            yield f"{ours.name}: {text}"


def _seeds(a: Load | None, b: Load | None) -> Iterator[str]:
    """The same load at another place of its run."""
    if a is not None and b is not None and a.seed != b.seed:
        yield f"asked by seed {a.seed} and {b.seed}: other requests of the same kind"


def _lengths(a: Numbers, b: Numbers) -> Iterator[str]:
    kinds = (("prompts", "input_tokens"), ("answers", "output_tokens"), ("cached", "cached_tokens"))
    for what, name in kinds:
        apart = _apart(getattr(a, name), getattr(b, name))
        if apart is not None and abs(apart) > SHOWN:
            subject = "reused parts of prompts" if what == "cached" else what
            yield f"{subject} are {_percent(apart)} in the second"


def _doubts(report: Report, stage: Stage) -> Iterator[str]:
    found = stage.stability
    if found is not None and not found.stable:
        yield f"{report.subject.name} is {found.verdict}: {found.why}"
    failed = stage.numbers.requests - stage.numbers.completed
    if failed:
        yield (
            f"{failed} of {stage.numbers.requests} requests to {report.subject.name} failed: its "
            "latencies are of the others"
        )
    if any(health.was_limit for health in stage.health):
        yield f"the generator was the limit for {report.subject.name}"


def _apart(a: Distribution | None, b: Distribution | None) -> float | None:
    if a is None or b is None or not a.mean or b.mean is None:
        return None
    return b.mean / a.mean - 1


def _percent(apart: float) -> str:
    return f"{abs(apart):.0%} {'longer' if apart > 0 else 'shorter'}"
