"""Trials carried out: the fake engine behind the real gateway, in processes of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pilotlight.bench.slo import Slo
from pilotlight.bench.subjects import Ground, Subject
from pilotlight.bench.workloads.workload import Workload
from pilotlight.cli.tune_setup import workload
from pilotlight.errors import EngineOptionError
from pilotlight.tune.perform import Conditions, Performer
from pilotlight.tune.setting import Setting
from pilotlight.tune.trial import Trial

SLO = Slo(ttft_ms=500)
FAKE = Path(__file__).parents[1] / "bench" / "command" / "fake_serve.py"


class Bench:
    """A performer of the fake engine's, and what was asked of it on the way."""

    def __init__(self, directory: Path, needs: Callable[[Setting], int | None]) -> None:
        self.prepared: list[Subject] = []
        (directory / "weights").write_bytes(b"none")
        self.ref = f"file:{directory / 'weights'}"
        conditions = Conditions(
            name="fake",
            slo=SLO,
            levels="users",
            prepare=self.prepare,
            needs_bytes=needs,
            memory_bytes=1 << 30,
        )
        ground = Ground(
            directory=directory,
            store=directory / "store",
            engines=directory / "engines",
            command=(sys.executable, str(FAKE), "serve"),
        )
        self.perform = Performer(conditions, ground)

    def prepare(self, subject: Subject) -> Workload:
        self.prepared.append(subject)
        return workload("builtin", 0, subject)

    def trial(self, *, users: int = 4, seconds: float = 0.5, **options: Any) -> Trial:
        setting = Setting(ref=self.ref, engine="fake", options=options)
        return Trial(setting=setting, level=users, seconds=seconds, purpose="look")


def _needs(setting: Setting) -> int:
    if "sots" in setting.options:
        raise EngineOptionError("no option 'sots'", hint="did you mean 'slots'?")
    return int(setting.options.get("ram_bytes", 1 << 20))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path, _needs)
    with found.perform:
        yield found
    assert not [subject.pid for subject in found.prepared if psutil.pid_exists(subject.pid or 0)]


def test_a_trial_measures_what_the_setting_does(bench: Bench) -> None:
    """Sixteen tokens, 5 ms apart: four slots answer some fifty requests a second, one a fourth."""
    began_s = time.monotonic()
    four = bench.perform(bench.trial(parallel=4, token_delay_ms=5.0))
    assert four.wall_s == pytest.approx(time.monotonic() - began_s, abs=0.1)
    assert four.failed is None
    assert four.started
    assert four.met_share == 1.0
    assert four.errors == 0
    one = bench.perform(bench.trial(parallel=1, token_delay_ms=5.0))
    assert one.started
    assert 1.5 < four.goodput_per_s / one.goodput_per_s < 8
    assert four.good_output_tokens_per_s == pytest.approx(four.output_tokens_per_s)
    assert one.ram_bytes == 1 << 20
    assert one.ttft_tail_ms is not None
    assert four.ttft_tail_ms is not None
    assert one.ttft_tail_ms > four.ttft_tail_ms, "three of four wait"
    assert len(bench.prepared) == 1, "every setting is asked the same"

    late = bench.perform(bench.trial(parallel=1, token_delay_ms=5.0, users=16, seconds=2.0))
    assert not late.started, "the same setting under another load"
    assert late.met_share < 0.5, "whoever asks waits for fifteen others, 80 ms each"
    assert late.goodput_per_s < 4
    assert late.output_tokens_per_s > 20


def test_settings_that_fail_are_outcomes(bench: Bench) -> None:
    dead = bench.perform(bench.trial(fail_load="no such kernel"))
    assert dead.failed is not None
    assert "no such kernel" in dead.failed
    large = bench.perform(bench.trial(ram_bytes=2 << 30))
    assert large.failed == "it needs 2.1 GB of memory, and 1.1 GB are free"
    assert large.wall_s == 0
    wrong = bench.perform(bench.trial(sots=3))
    assert wrong.failed == "no option 'sots'; did you mean 'slots'?"
    assert bench.perform(bench.trial()).failed is None, "and the next one runs"
