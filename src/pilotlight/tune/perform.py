"""Performs trials: starts a setting, puts the load on it, and keeps it for as long as it is asked.

The only place of a search that touches the world.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from pilotlight.bench.instruments import Instruments
from pilotlight.bench.load import Load
from pilotlight.bench.measure import Measured, measure
from pilotlight.bench.slo import Slo
from pilotlight.bench.subjects import Ground, Recipe, Subject, serving
from pilotlight.bench.workloads.workload import Workload
from pilotlight.errors import EngineError, ServerError
from pilotlight.quantities import about_bytes
from pilotlight.tune.goal import LevelKind
from pilotlight.tune.measured import outcome
from pilotlight.tune.setting import Setting
from pilotlight.tune.trial import Outcome, Trial

_ATTEMPTS = 3
_LEAST_WARMUP_S = 1.0


class SearchStoppedError(Exception):
    """Somebody pressed Ctrl-C during a trial, which therefore doesn't count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What is the same in every trial."""

    name: str
    slo: Slo
    levels: LevelKind
    prepare: Callable[[Subject], Workload]
    """Called once, with the first subject that is ready: it may be asked to count tokens."""

    needs_bytes: Callable[[Setting], int | None]
    """Memory that the engine predicts; None where nobody knows. Raises EngineError."""

    memory_bytes: int
    policy: Mapping[str, Any] = field(default_factory=dict)
    engines: Mapping[str, Any] = field(default_factory=dict)
    instruments: Instruments = field(default_factory=Instruments)
    seed: int = 0


class Performer:
    """A context: on the way out whatever still runs is stopped."""

    def __init__(self, conditions: Conditions, ground: Ground) -> None:
        self._conditions = conditions
        self._ground = ground
        self._running = contextlib.ExitStack()
        self._setting: Setting | None = None
        self._subject: Subject | None = None
        self._workload: Workload | None = None
        self._warmup_s = _LEAST_WARMUP_S

    def __enter__(self) -> Performer:
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def __call__(self, trial: Trial) -> Outcome:
        """Blocks for as long as the trial takes.

        Raises:
            SearchStoppedError: Ctrl-C.
            PilotlightError: what no other setting would mend, such as a workload that can't be.
        """
        began_s = time.monotonic()
        ram_bytes: int | None = None
        try:
            ram_bytes = self._conditions.needs_bytes(trial.setting)
            if ram_bytes is not None and ram_bytes > self._conditions.memory_bytes:
                wanting = _wanting(ram_bytes, self._conditions.memory_bytes)
                return Outcome(wall_s=0.0, failed=wanting, ram_bytes=ram_bytes)
            started = self._start(trial.setting)
            measured = self._measure(trial)
        except (EngineError, ServerError) as error:
            self._stop()
            wall_s = time.monotonic() - began_s
            return Outcome(wall_s=wall_s, failed=error.one_line(), ram_bytes=ram_bytes)
        wall_s = time.monotonic() - began_s
        found = outcome(measured, self._conditions.slo, wall_s=wall_s, started=started)
        return replace(found, ram_bytes=ram_bytes)

    def _start(self, setting: Setting) -> bool:
        """Whether it had to be started."""
        if self._setting is not None and self._setting.key == setting.key:
            return False
        self._stop()
        recipe = Recipe(
            name=self._conditions.name,
            ref=setting.ref,
            engine=setting.engine,
            options=setting.options,
            policy=self._conditions.policy,
            engines=self._conditions.engines,
        )
        self._subject = self._running.enter_context(serving(recipe, self._ground))
        self._setting = setting
        if self._workload is None:
            self._workload = self._conditions.prepare(self._subject)
        return True

    def _stop(self) -> None:
        self._setting = self._subject = None
        self._running.close()

    def _measure(self, trial: Trial) -> Measured:
        """Its window has the trial's seconds, or most of them: the warm-up before it is a round of
        answers, and how long that takes is known from the trial before, or found out here."""
        for _ in range(_ATTEMPTS):
            measured = self._run(trial)
            if measured.stopped:
                raise SearchStoppedError
            took_s = max(_LEAST_WARMUP_S, _round_s(measured))
            if sum(window.seconds for window in measured.stage.windows) >= trial.seconds / 2:
                self._warmup_s = took_s
                break
            self._warmup_s = max(self._warmup_s, took_s)
        return measured

    def _run(self, trial: Trial) -> Measured:
        assert self._subject is not None
        assert self._workload is not None
        load = _load(trial, self._warmup_s, self._conditions)
        return measure(
            self._subject,
            self._workload,
            load,
            self._conditions.slo,
            instruments=self._conditions.instruments,
        )


def _round_s(measured: Measured) -> float:
    """How long an answer takes; all of a run that was over before anybody asked twice."""
    answers = measured.stage.numbers.e2e_ms
    return answers.p50.value / 1000 if answers and answers.p50 else measured.runs[-1].wall_s


def _wanting(needed_bytes: int, there_bytes: int) -> str:
    return (
        f"it needs {about_bytes(needed_bytes)} of memory, and {about_bytes(there_bytes)} are free"
    )


def _load(trial: Trial, warmup_s: float, conditions: Conditions) -> Load:
    duration_s = warmup_s + trial.seconds
    seed = _seed(trial, conditions)
    if conditions.levels == "users":
        users = round(trial.level)
        return Load(
            kind="closed",
            concurrency=users,
            duration_s=duration_s,
            warmup_requests=users,
            seed=seed,
        )
    return Load(
        kind="poisson",
        requests_per_s=trial.level,
        duration_s=duration_s,
        warmup_requests=round(trial.level * warmup_s),
        seed=seed,
    )


def _seed(trial: Trial, conditions: Conditions) -> int:
    """The same for every setting, and another in each round; the duel's are none of the search's,
    by which the best was chosen."""
    part = "duel" if trial.purpose == "duel" else f"search at {trial.level!r}"
    return Random(f"{conditions.seed}, {part}, {trial.round}").getrandbits(31)
