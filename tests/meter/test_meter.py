"""The thread that samples: what it keeps, what it takes, how it ends."""

from __future__ import annotations

import threading
import time

import pytest

from pilotlight.meter.meter import SHARE, Meter
from pilotlight.meter.source import Device, Reading
from pilotlight.meter.tally import GAP_S

from .made import Clock, Drawn


def test_samples_come_by_themselves_until_it_stops() -> None:
    source, seen = Drawn(), threading.Event()
    reads = 0

    class Counting(Drawn):
        def read(self) -> tuple[Reading, ...]:
            nonlocal reads
            reads += 1
            if reads > 5:
                seen.set()
            return super().read()

    source = Counting()
    meter = Meter([source], period_s=0.001)
    with meter:
        assert seen.wait(10)
    assert source.closed
    assert len(meter.series().points["package-0"]) == reads, "stopping samples once more"
    meter.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "meter"]


def test_a_span_between_marks_is_exact() -> None:
    source, clock = Drawn(), Clock(100.0)
    meter = Meter([source], clock=clock)
    begin_s = meter.mark()
    clock.now_s, source.joules = 112.0, 600.0
    end_s = meter.mark()
    clock.now_s, source.joules = 113.0, 9_999.0
    meter.mark()
    assert (begin_s, end_s) == (100.0, 112.0)
    assert meter.series().joules("package-0", begin_s, end_s) == 600.0


def test_totals_are_those_of_the_last_sample() -> None:
    gpu, package, clock = Drawn("gpu0", "measured-nvml"), Drawn(), Clock()
    meter = Meter([gpu, package], clock=clock)
    assert meter.total().gross_j is None, "no sample, no figure"
    meter.mark()
    gpu.joules, package.joules, clock.now_s = 30.0, 12.0, 1.0
    assert meter.total().gross_j == 0.0
    meter.mark()
    total = meter.total()
    assert (total.at_s, total.gross_j, total.source) == (1.0, 42.0, "measured-nvml")
    assert total.joules == {"gpu0": 30.0, "package-0": 12.0}


def test_an_estimate_is_never_added_to_a_measurement() -> None:
    gpu, cpu, clock = Drawn("gpu0", "measured-nvml"), Drawn("cpu", "estimated-tdp"), Clock()
    meter = Meter([gpu, cpu], clock=clock)
    meter.mark()
    gpu.joules, cpu.joules, clock.now_s = 30.0, 12.0, 1.0
    meter.mark()
    assert (meter.total().gross_j, meter.total().source) == (30.0, "measured-nvml")
    assert meter.total().joules["cpu"] == 12.0


def test_the_total_is_unknown_while_a_device_says_nothing() -> None:
    gpu, silent = Drawn("gpu0", "measured-nvml"), Drawn("gpu1", "measured-nvml")
    silent.joules = None
    meter = Meter([gpu, silent], clock=Clock())
    meter.mark()
    assert (meter.total().gross_j, meter.total().source) == (None, None)


def test_the_total_is_unknown_once_a_device_is_lost_and_until_it_is_back() -> None:
    gpu, lost, clock = Drawn("gpu0", "measured-nvml"), Drawn("gpu1", "measured-nvml"), Clock()
    meter = Meter([gpu, lost], clock=clock)
    meter.mark()
    lost.joules, clock.now_s = None, 8.0
    meter.mark()
    assert meter.total().gross_j == 0.0, "one that misses a sample or two isn't lost"
    clock.now_s, gpu.joules = 60.0, 600.0
    meter.mark()
    assert (meter.total().gross_j, meter.total().source) == (None, None)
    assert meter.total().joules == {"gpu0": 600.0}
    clock.now_s, lost.joules = 61.0, 500.0
    meter.mark()
    assert meter.total().gross_j == 1100.0


def test_it_forgets_what_is_older_than_it_keeps_but_not_the_total() -> None:
    source, clock = Drawn(), Clock()
    meter = Meter([source], clock=clock, keep_s=60)
    for at in range(1000):
        clock.now_s, source.joules = float(at), at * 2.0
        meter.mark()
    assert len(meter.series().points["package-0"]) == 61
    assert meter.total().gross_j == 1998.0
    assert meter.series().joules("package-0", 0, 10) is None, "forgotten"
    assert meter.series().joules("package-0", 950, 960) == 20.0


def test_a_device_that_failed_for_a_while_is_known_again_by_its_counter() -> None:
    source, clock = Drawn(), Clock()
    meter = Meter([source], clock=clock)
    for at, joules in enumerate((0.0, 10.0, None, None, 40.0)):
        clock.now_s, source.joules = float(at), joules
        meter.mark()
    assert meter.series().joules("package-0", 0, 4) == 40.0
    assert meter.series().joules("package-0", 1, 2) == 10.0, "even, where nobody knows better"


def test_without_a_source_there_is_no_thread_and_no_figure() -> None:
    with Meter([], notes=("nothing here",)) as meter:
        assert not [thread for thread in threading.enumerate() if thread.name == "meter"]
        assert meter.series().devices == ()
        assert meter.total().gross_j is None
    assert meter.series().notes == ("nothing here",)


def test_it_ends_though_a_source_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a driver does whose GPU fell off the bus: a server must end all the same."""
    hangs, goes_on = threading.Event(), threading.Event()

    class Hanging(Drawn):
        def read(self) -> tuple[Reading, ...]:
            if threading.current_thread().name == "meter":
                hangs.set()
                goes_on.wait()
            return super().read()

    monkeypatch.setattr("pilotlight.meter.meter.PATIENCE_S", 0.01)
    meter = Meter([Hanging()], period_s=0.001)
    meter.start()
    assert hangs.wait(10)
    meter.stop()
    goes_on.set()


class Slow(Drawn):
    """Takes processor time to read, as a machine with many devices does."""

    def read(self) -> tuple[Reading, ...]:
        until_s = time.thread_time() + 0.005
        while time.thread_time() < until_s:
            pass
        return super().read()

    @property
    def devices(self) -> tuple[Device, ...]:
        return super().devices


def test_slow_sources_are_read_less_often() -> None:
    """5 ms a sample at 2 ms would be a whole core: it is once a second instead."""
    meter = Meter([Slow()], period_s=0.002)
    meter.mark()
    pause_s = meter.pause_s
    assert 0.005 / SHARE * 0.5 <= pause_s < GAP_S
    assert Meter([Drawn()], period_s=0.002).pause_s == pytest.approx(0.002)
