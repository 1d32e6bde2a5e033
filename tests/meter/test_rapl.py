"""Processors by the powercap tree: what is counted, what wraps, who may read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotlight.meter.meter import Meter
from pilotlight.meter.rapl import open_rapl
from pilotlight.meter.source import PowerSource
from pilotlight.meter.wanted import Wanted

from .powercap import RANGE_UJ, Tree, tree


@pytest.fixture
def powercap(tmp_path: Path) -> Tree:
    return tree(tmp_path / "powercap")


def wanted(root: Path) -> Wanted:
    return Wanted(powercap=root, hwmon=root / "hwmon", cpus=root / "cpus")


def opened(root: Path) -> PowerSource:
    found = open_rapl(wanted(root))
    assert found.source is not None
    return found.source


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_each_joule_is_counted_once(powercap: Tree) -> None:
    """Cores are in their package, psys holds packages, the mmio zone is the same counter."""
    names = [(device.name, device.kind) for device in opened(powercap.root).devices]
    assert names == [("package-0", "cpu"), ("dram-0", "dram"), ("package-1", "cpu")]


def test_a_copy_of_the_tree_without_links_is_read_too(powercap: Tree) -> None:
    for link in powercap.root.iterdir():
        if link.is_symlink():
            link.unlink()
    assert len(opened(powercap.root).devices) == 3


def test_a_wrap_adds_the_range(powercap: Tree) -> None:
    clock = Clock()
    first, _ = powercap.packages
    first.set(RANGE_UJ - 10_000_000)
    meter = Meter([opened(powercap.root)], clock=clock)
    meter.mark()
    clock.now_s = 1.0
    first.add(150.0)
    powercap.memory.add(12.5)
    meter.mark()
    series = meter.series()
    assert series.joules("package-0", 0, 1) == pytest.approx(150.0)
    assert series.joules("dram-0", 0, 1) == pytest.approx(12.5)
    assert series.part("package-0", 0, 1).resets == 0
    assert meter.total().gross_j == pytest.approx(162.5)
    assert meter.total().source == "measured-rapl"


def test_a_counter_that_falls_is_a_reset_where_no_wrap_could_be(powercap: Tree) -> None:
    """After a suspend it begins at 0: 250 kJ in a second can't be drawn."""
    clock = Clock()
    first, second = powercap.packages
    first.set(12_000_000_000)
    meter = Meter([opened(powercap.root)], clock=clock)
    meter.mark()
    clock.now_s = 1.0
    first.set(0)
    second.add(40.0)
    meter.mark()
    part = meter.series().part("package-0", 0, 1)
    assert (part.joules, part.unknown_s, part.resets) == (0.0, 1.0, 1)
    assert meter.series().joules("package-0", 0, 1) is None
    assert meter.series().joules("package-1", 0, 1) == pytest.approx(40.0)


def test_whoever_may_not_read_is_told_how(powercap: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a read that fails, for no mode would stop root."""
    real = Path.read_text

    def read_text(path: Path, *args: object, **kwargs: object) -> str:
        if path.name == "energy_uj" and "intel-rapl:1" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_text", read_text)
    found = open_rapl(wanted(powercap.root))
    assert found.source is not None
    assert [device.name for device in found.source.devices] == ["package-0", "dram-0"]
    (note,) = found.notes
    assert note.startswith("package-1 not metered")
    assert "sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj" in note


def test_a_counter_that_goes_away_gives_empty_readings(powercap: Tree) -> None:
    source = opened(powercap.root)
    (powercap.packages[1].path / "energy_uj").unlink()
    first, memory, second = source.read()
    assert first.count == 5_000_000
    assert memory.count == 0
    assert second.count is None


def test_no_tree_is_no_source(tmp_path: Path) -> None:
    found = open_rapl(wanted(tmp_path))
    assert (found.source, found.notes) == (None, ())


def test_temperature_and_clock_come_along(powercap: Tree) -> None:
    for at, (name, millidegrees) in enumerate((("nvme", 30_000), ("coretemp", 61_500))):
        place = powercap.root / "hwmon" / f"hwmon{at}"
        place.mkdir(parents=True)
        (place / "name").write_text(name)
        (place / "temp1_input").write_text(str(millidegrees))
    for core, khz in enumerate((2_000_000, 3_000_000)):
        place = powercap.root / "cpus" / f"cpu{core}" / "cpufreq"
        place.mkdir(parents=True)
        (place / "scaling_cur_freq").write_text(str(khz))
    package, memory, _ = opened(powercap.root).read()
    assert (package.temperature_c, package.clock_mhz) == (61.5, 2500.0)
    assert (memory.temperature_c, memory.clock_mhz) == (None, None)
