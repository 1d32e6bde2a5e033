"""Processors and their memory, by the running average power limit's counters in the powercap tree.

Intel has them since Sandy Bridge, AMD since Zen; the kernel lets root alone read them (a fast
reader could tell what others compute), and virtual machines mostly have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pilotlight.meter.sensors import Sensors, word
from pilotlight.meter.source import Device, Opened, Reading
from pilotlight.meter.wanted import Wanted

COUNTS_PER_J = 1_000_000
MOST_W = 2000.0
"""More than a socket draws, less than a counter that began anew seems to."""

_ZONE = re.compile(r"intel-rapl:\d+")
_TITLES = {"cpu": "processor package", "dram": "memory of a processor package"}


def open_rapl(wanted: Wanted) -> Opened:
    zones, denied = [], []
    for zone in _zones(wanted.powercap):
        try:
            zone.count()
        except PermissionError:
            denied.append(zone)
        except (OSError, ValueError):
            continue
        else:
            zones.append(zone)
    notes = (_denied(denied),) if denied else ()
    if not zones:
        return Opened(notes=notes)
    return Opened(RaplSource(zones, Sensors.of(wanted.hwmon, wanted.cpus)), notes)


def _denied(zones: list[_Zone]) -> str:
    path = zones[0].path / "energy_uj"
    names = ", ".join(zone.device.name for zone in zones)
    return (
        f"{names} not metered: {path} may be read by root alone; run as root, or let all read it "
        "until the next boot: sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj"
    )


@dataclass(frozen=True, slots=True)
class _Zone:
    path: Path
    device: Device

    def count(self) -> int:
        return int((self.path / "energy_uj").read_text())


def _zones(powercap: Path) -> Iterator[_Zone]:
    """Packages and the memory below them. Cores are in their package; psys, the whole board, holds
    packages; intel-rapl-mmio counts the same ones again."""
    for path in _directories(powercap):
        name = word(path / "name")
        if not name.startswith("package"):
            continue
        yield _Zone(path, _device(path, name, "cpu"))
        suffix = name.removeprefix("package-")
        for part in sorted(path.glob("intel-rapl:*:*")):
            if word(part / "name") == "dram":
                yield _Zone(part, _device(part, f"dram-{suffix}", "dram"))


def _directories(powercap: Path) -> list[Path]:
    """The kernel links every zone at the top; a copy in a container may have the tree alone."""
    found = {
        path.name: path
        for root in (powercap / "intel-rapl", powercap)
        for path in root.glob("intel-rapl:*")
        if _ZONE.fullmatch(path.name)
    }
    return [found[name] for name in sorted(found, key=lambda name: int(name.partition(":")[2]))]


def _device(path: Path, name: str, kind: str) -> Device:
    limit = word(path / "max_energy_range_uj")
    return Device(
        name=name,
        kind="dram" if kind == "dram" else "cpu",
        title=_TITLES[kind],
        source="measured-rapl",
        method="counter",
        counts_per_j=COUNTS_PER_J,
        wraps_at=int(limit) if limit.isdigit() else None,
        most_w=MOST_W,
    )


class RaplSource:
    def __init__(self, zones: list[_Zone], sensors: Sensors) -> None:
        self._zones = zones
        self._sensors = sensors

    @property
    def devices(self) -> tuple[Device, ...]:
        return tuple(zone.device for zone in self._zones)

    def read(self) -> tuple[Reading, ...]:
        clock_mhz = self._sensors.clock_mhz()
        return tuple(self._read(zone, clock_mhz) for zone in self._zones)

    def close(self) -> None:
        pass

    def _read(self, zone: _Zone, clock_mhz: float | None) -> Reading:
        try:
            count = zone.count()
        except (OSError, ValueError):
            return Reading()
        if zone.device.kind == "dram":
            return Reading(count=count)
        socket = zone.device.name.removeprefix("package-").partition("-")[0]
        return Reading(
            count=count, temperature_c=self._sensors.temperature_c(socket), clock_mhz=clock_mhz
        )
