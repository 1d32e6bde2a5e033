"""The processors' temperature and clock, where the kernel says them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_DRIVERS = ("coretemp", "k10temp", "zenpower")
CLOCKS = 8
"""As many cores tell the mean; reading all of a large machine's costs more than it says."""


@dataclass(frozen=True, slots=True)
class Sensors:
    """Found once, read often: paths of files with a number in them."""

    temperatures: Mapping[str, Path] = field(default_factory=dict)
    """By the socket's number."""

    clocks: Sequence[Path] = ()

    @classmethod
    def of(cls, hwmon: Path, cpus: Path) -> Sensors:
        """Sockets are numbered as the kernel lists their sensors."""
        found = (path for path in hwmon.glob("hwmon*") if word(path / "name") in _DRIVERS)
        places = sorted(found, key=lambda path: int(path.name.removeprefix("hwmon")))
        inputs = [path / "temp1_input" for path in places]
        clocks = sorted(cpus.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
        every = max(1, len(clocks) // CLOCKS)
        return cls({str(at): path for at, path in enumerate(inputs)}, clocks[::every][:CLOCKS])

    def temperature_c(self, socket: str) -> float | None:
        path = self.temperatures.get(socket)
        millidegrees = None if path is None else _number(path)
        return None if millidegrees is None else millidegrees / 1000

    def clock_mhz(self) -> float | None:
        found = [value for path in self.clocks if (value := _number(path)) is not None]
        return sum(found) / len(found) / 1000 if found else None


def word(path: Path) -> str:
    """What a small file of the kernel's says; empty where it can't be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> float | None:
    found = word(path)
    return float(found) if found.isdigit() else None
