"""Estimates from ratings, and what a machine is found to have."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from pilotlight.catalog import catalog
from pilotlight.meter.rated import Processors, RatedSource, busy_and_all_s, open_rated, rated
from pilotlight.meter.rating import power_w
from pilotlight.meter.registry import described, meter_here, open_sources
from pilotlight.meter.sensors import Sensors
from pilotlight.meter.source import Device
from pilotlight.meter.wanted import Wanted

from .nvml import Gpu, Nvml
from .powercap import tree

ROWS = tuple(catalog.load().cpus.values())


@pytest.mark.parametrize(("load", "share"), [(0, 0.1), (0.5, 0.2125), (1, 1.0), (3, 1.0)])
def test_power_follows_the_cube_of_the_load(load: float, share: float) -> None:
    assert power_w(200, load) == pytest.approx(200 * share)


@pytest.mark.parametrize(
    ("name", "threads", "sockets", "watts"),
    [
        ("AMD EPYC 9554 64-Core Processor", 128, 1, 360),
        ("AMD EPYC 9554 64-Core Processor", 256, 2, 720),
        ("AMD EPYC 9554 64-Core Processor", 4, 1, 360 * 4 / 128),
        ("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", 8, 1, 300 * 8 / 64),
        ("12th Gen Intel(R) Core(TM) i5-12400", 12, 1, 65),
        ("13th Gen Intel(R) Core(TM) i9-13900K", 32, 1, 253),
    ],
)
def test_a_known_processor_has_its_watts_by_the_share_that_is_here(
    name: str, threads: int, sockets: int, watts: float
) -> None:
    assert rated(Processors(name, threads, sockets), ROWS).watts == pytest.approx(watts)


def test_an_unknown_one_is_assumed_and_says_so() -> None:
    rating = rated(Processors("AMD EPYC", 2, 1), ROWS)
    assert rating.watts == 10
    assert "assumed: the catalog has no processor 'AMD EPYC'" in rating.basis


def test_watts_are_by_how_busy_the_time_between_was() -> None:
    times = iter([(100.0, 1000.0), (105.0, 1010.0), (105.0, 1010.0), (105.0, 1020.0)])
    device = Device(name="cpu", kind="cpu", title="cpu", source="estimated-tdp", method="rating")
    source = RatedSource(device, 100.0, Sensors(), lambda: next(times))
    assert source.read()[0].watts == pytest.approx(power_w(100, 0.5))
    assert source.read()[0].watts == pytest.approx(power_w(100, 0.5)), "no time passed: as before"
    assert source.read()[0].watts == pytest.approx(power_w(100, 0.0))


def test_processor_seconds_are_the_systems() -> None:
    before = psutil.cpu_times()
    busy_s, all_s = busy_and_all_s()
    assert 0 < busy_s < all_s
    assert all_s >= sum(before) - before.guest - before.guest_nice - 1e-6
    assert all_s - busy_s >= before.idle


def test_stolen_time_drew_nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    none = dict.fromkeys(psutil.cpu_times()._fields, 0.0)
    times = type(psutil.cpu_times())(**{**none, "user": 30.0, "idle": 50.0, "steal": 20.0})
    monkeypatch.setattr(psutil, "cpu_times", lambda: times)
    assert busy_and_all_s() == (30.0, 100.0)


def test_a_rating_may_be_given() -> None:
    source = open_rated(Wanted(rated_w=15)).source
    assert source is not None
    assert "15 W, as given" in source.devices[0].title
    assert (source.read()[0].watts or 99) <= 15


def nothing(root: Path, nvml: Nvml) -> Wanted:
    return Wanted(powercap=root, hwmon=root, cpus=root, nvml=lambda: nvml)


def test_an_estimate_stands_in_only_where_nothing_measures_the_processors(tmp_path: Path) -> None:
    measured = tree(tmp_path / "powercap").root
    found = open_sources(nothing(measured, Nvml(Gpu())))
    assert [device.name for device in found.devices] == [
        "gpu0", "package-0", "dram-0", "package-1",
    ]  # fmt: skip
    assert found.notes == ()
    found = open_sources(nothing(tmp_path / "empty", Nvml(Gpu())))
    assert [(device.name, device.source) for device in found.devices] == [
        ("gpu0", "measured-nvml"),
        ("cpu", "estimated-tdp"),
    ]
    assert "estimated from their load" in found.notes[0]
    assert found.refused == (), "nothing to mend"
    assert described(found.devices) == "gpu0 measured-nvml, cpu estimated-tdp"


def test_nothing_found_says_so() -> None:
    assert described(()) == "nothing says"


def test_this_machine_has_some_figure() -> None:
    """Whatever it is: measured where there is a counter, else estimated."""
    with meter_here(gpus=()) as meter:
        begin_s = meter.mark()
        sum(range(2_000_000))
        end_s = meter.mark()
    series = meter.series()
    assert series.devices
    assert all((series.joules(device.name, begin_s, end_s) or 0) > 0 for device in series.devices)
    assert meter.total().source is not None
