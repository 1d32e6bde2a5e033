"""What a benchmark knows of the machine that it prices and meters."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import cast

import pytest

from meter.made import Clock, Drawn
from pilotlight import catalog, machine
from pilotlight.bench.instruments import View
from pilotlight.bench.subjects import Subject
from pilotlight.cli.bench_instruments import _baseline, _hardware
from pilotlight.machine import Gpu, Machine
from pilotlight.meter.meter import Meter

HERE = Subject(name="m", url="http://127.0.0.1:1", model="m", pid=os.getpid(), here=True)


def test_a_gpu_that_nobody_knows_is_not_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else machines without one would be priced as if they were as fast."""
    bare = Machine(
        cpu="some cpu", cores=2, ram_bytes=8 << 30, gpus=(), instruction_sets=frozenset()
    )
    held = catalog.load()
    monkeypatch.setattr(machine, "survey", lambda: bare)
    found = _hardware(HERE, held)
    assert found is not None
    assert (found.vcpus, found.gpu) == (2, None)
    odd = replace(bare, gpus=(Gpu(index=0, name="Oddity 1", memory_bytes=8 << 30),))
    monkeypatch.setattr(machine, "survey", lambda: odd)
    assert _hardware(HERE, held) is None


class Nobody:
    def say(self, text: str) -> None:
        pass


def test_the_baseline_lasts_until_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A series that is taken before the last mark ends before it."""
    clock, source = Clock(), Drawn()
    meter = Meter([source], clock=clock)

    def rest(seconds: float) -> None:
        clock.now_s += seconds
        source.joules = 7.0 * seconds

    monkeypatch.setattr(time, "sleep", rest)
    found = _baseline(meter, 3.0, cast("View", Nobody()))
    assert found is not None
    assert found.watts == {"package-0": pytest.approx(7.0)}
