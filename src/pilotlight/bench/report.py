"""What a benchmark found: one subject under one workload, in one or more stages.

A report is a file that outlives the program that wrote it: its format has a version, which
`docs/report.schema.json` publishes and whoever reads it checks. Fields may join a version; one that
goes or changes its meaning makes another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pilotlight.bench.columns import Columns, Slices
from pilotlight.bench.costs import Costs
from pilotlight.bench.health import GeneratorHealth
from pilotlight.bench.load import Load
from pilotlight.bench.numbers import ColdRequest, Excluded, Numbers, Stability, Window
from pilotlight.bench.quality_facts import Quality
from pilotlight.bench.slo import Slo
from pilotlight.bench.subjects.subject import ColdStart
from pilotlight.bench.workloads.workload import WorkloadSummary
from pilotlight.meter.energy import Energy
from pilotlight.metrics import Metrics

FORMAT: Literal["pilotlight-report-1"] = "pilotlight-report-1"

Tool = Literal["pilotlight", "guidellm", "vllm", "aiperf", "inference-perf"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What was measured, as far as anybody says it: no key and no process, unlike a subject."""

    name: str
    """Short: for legends and tables."""

    url: str | None = None
    model: str | None = None
    ref: str | None = None
    engine: str | None = None
    build: str | None = None
    """The engine and its version, as the engine says."""

    quantization: str | None = None
    digest: str | None = None
    size_bytes: int | None = None
    context: int | None = None
    slots: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    server: str | None = None
    here: bool = False
    """It ran on the machine that the report names; else that is only the generator's."""

    cold_start: ColdStart | None = None
    """Of its start for this report, apart from all numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """Where the generator ran, and with it the subject if that was `here`."""

    cpu: str
    cores: int
    ram_bytes: int
    gpus: tuple[str, ...] = ()
    instruction_sets: tuple[str, ...] = ()
    system: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What a plan said of this deployment under this workload."""

    plan: str
    metrics: Metrics
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One load, in one or more runs that repeat each other.

    Other tools' files fill what they say; all else of them is None or empty.
    """

    name: str
    load: Load | None = None
    numbers: Numbers
    metrics: Metrics
    """The same in the planner's words."""

    groups: Mapping[str, Numbers] = field(default_factory=dict)
    """The same of each group of the workload, such as short and long answers."""

    started_at: float | None = None
    """Of the first run, in seconds since 1970."""

    wall_s: float | None = None
    """Of all runs, from the first request due after the warm-up to the last answer, without what
    was between runs."""

    runs: int = 1
    windows: tuple[Window, ...] = ()
    """One a run."""

    excluded: Excluded = field(default_factory=Excluded)
    cold: tuple[ColdRequest, ...] = ()
    stability: Stability | None = None
    by_run: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    """Of the numbers that have one figure: that of each run. Latencies are medians here."""

    health: tuple[GeneratorHealth, ...] = ()
    """The generator's, one a run."""

    energy: Energy | None = None
    costs: Costs | None = None
    columns: Columns = field(default_factory=Columns)
    slices: Slices = field(default_factory=Slices)
    notes: tuple[str, ...] = ()
    """What a reader must know before believing it, one sentence each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A benchmark's result, whole. `chosen` is the stage that stands for it, such as a goodput
    search's best."""

    format: Literal["pilotlight-report-1"] = FORMAT
    tool: Tool = "pilotlight"
    made_at: str = ""
    """In UTC, as ISO 8601 has it."""

    subject: Tested
    workload: WorkloadSummary | None = None
    """What was sent; what it came to in tokens, as the server counts, is in the numbers."""

    slo: Slo | None = None
    stages: tuple[Stage, ...]
    chosen: int = 0
    machine: MachineFacts | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    predicted: Predicted | None = None
    quality: Quality | None = None
    command: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def stage(self) -> Stage:
        """The chosen one."""
        return self.stages[self.chosen]
