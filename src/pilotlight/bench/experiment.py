"""A whole benchmark of one subject: workload and profile in, report out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pilotlight.bench.instruments import Instruments
from pilotlight.bench.load import Load
from pilotlight.bench.machine_facts import machine_facts, versions
from pilotlight.bench.measure import Measured, measure, target_of
from pilotlight.bench.profile.perform import Stages
from pilotlight.bench.profile.profile import Profile, perform
from pilotlight.bench.profile.repeats import Repeats
from pilotlight.bench.report import Predicted, Report, Tested
from pilotlight.bench.slo import Slo
from pilotlight.bench.subjects.subject import Subject
from pilotlight.bench.tested import tested
from pilotlight.bench.workloads.workload import Workload, WorkloadSummary
from pilotlight.machine import survey


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What is done to a subject; the same done to two compares them."""

    workload: str | Mapping[str, Any]
    """As `workloads.registry.prepare` takes it."""

    profile: Profile
    slo: Slo | None = None
    repeats: Repeats = field(default_factory=Repeats)
    seed: int = 0
    timeout_s: float = 600.0


def conduct(experiment: Experiment, subject: Subject, instruments: Instruments) -> Report:
    """Blocks until all is measured; after Ctrl-C the report has what was measured by then.

    Raises:
        BenchError, ConfigError: the workload or the load can't be.
        ServerError: the subject doesn't answer at all.
    """
    workload = prepared(experiment, subject)
    stages = perform(
        experiment.profile,
        partial(_measure, experiment, subject, workload, instruments),
        experiment.slo,
    )
    return reported(experiment, tested(subject), workload.summary(), stages)


def prepared(experiment: Experiment, subject: Subject) -> Workload:
    """Made with the tokens of this subject's model."""
    from pilotlight.bench.workloads.registry import prepare

    target = target_of(subject, experiment.timeout_s)
    return asyncio.run(prepare(experiment.workload, target=target, seed=experiment.seed))


def _measure(
    experiment: Experiment,
    subject: Subject,
    workload: Workload,
    instruments: Instruments,
    load: Load,
    *,
    name: str | None = None,
) -> Measured:
    return measure(
        subject,
        workload,
        load,
        experiment.slo,
        name=name,
        repeats=experiment.repeats,
        instruments=instruments,
        timeout_s=experiment.timeout_s,
    )


def reported(
    experiment: Experiment, subject: Tested, workload: WorkloadSummary, stages: Stages
) -> Report:
    stopped = ("stopped before its end: what was measured by then",) if stages.stopped else ()
    return Report(
        made_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        subject=subject,
        workload=workload,
        slo=experiment.slo,
        stages=stages.stages,
        chosen=stages.chosen,
        machine=machine_facts(survey()),
        versions=versions(),
        notes=(*stages.notes, *stopped),
    )


def with_prediction(report: Report, predicted: Predicted | None, *notes: str) -> Report:
    return replace(report, predicted=predicted, notes=(*report.notes, *notes))
