"""Processors without a counter: their rating, and how busy the machine is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from pilotlight.catalog.hardware import Cpu
from pilotlight.machine import survey
from pilotlight.meter.rating import WATTS_PER_CORE, power_w
from pilotlight.meter.sensors import Sensors
from pilotlight.meter.source import Device, Opened, Reading
from pilotlight.meter.wanted import Wanted

CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Rating:
    watts: float
    basis: str


@dataclass(frozen=True, slots=True)
class Processors:
    """All that the system shows; a virtual machine's are its share of a socket."""

    name: str
    threads: int
    sockets: int


def open_rated(wanted: Wanted) -> Opened:
    processors = _processors()
    if wanted.rated_w is not None:
        rating = Rating(wanted.rated_w, f"{wanted.rated_w:g} W, as given")
    else:
        rating = rated(processors, tuple(wanted.catalog().cpus.values()))
    device = Device(
        name="cpu",
        kind="cpu",
        title=f"{processors.name}: {rating.basis}",
        source="estimated-tdp",
        method="rating",
    )
    note = (
        f"the processors' joules are estimated from their load and {rating.basis}: this machine "
        "shows no counter of joules; set ledger.rated_w where you know better"
    )
    return Opened(RatedSource(device, rating.watts, Sensors.of(wanted.hwmon, wanted.cpus)), (note,))


def rated(processors: Processors, rows: tuple[Cpu, ...]) -> Rating:
    """A row's watts by the share of its threads that are here, as a virtual machine has them."""
    row = next((row for row in rows if _same(row, processors.name)), None)
    if row is None:
        watts = WATTS_PER_CORE * processors.threads
        return Rating(
            watts,
            f"{WATTS_PER_CORE:g} W for each of {processors.threads} cores, assumed: the catalog "
            f"has no processor {processors.name!r}",
        )
    share = min(processors.threads / (row.cores * row.threads_per_core), processors.sockets)
    return Rating(row.tdp_w * share, f"{share:.3g} × the {row.tdp_w:g} W of {row.name}")


def _same(row: Cpu, name: str) -> bool:
    """The model's number is in both: "AMD EPYC 9554 64-Core Processor" is epyc-9554."""
    words = set(re.findall(r"[a-z0-9]+", name.lower()))
    return any(
        set(re.findall(r"[a-z0-9]+", spelling.lower())) <= words for spelling in row.spellings
    )


def _processors() -> Processors:
    try:
        text = CPUINFO.read_text()
    except OSError:
        text = ""
    sockets = set(re.findall(r"^physical id\s*:\s*(\d+)", text, re.MULTILINE))
    return Processors(survey().cpu, psutil.cpu_count() or 1, max(1, len(sockets)))


def busy_and_all_s() -> tuple[float, float]:
    """Processor seconds since boot: spent on something, and all there were."""
    times = psutil.cpu_times()
    guest_s = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    # Guests' time is in user and nice already.
    all_s = sum(times) - guest_s
    # What was stolen from a virtual machine drew its watts for somebody else.
    resting_s = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "steal", 0.0)
    return all_s - resting_s, all_s


class RatedSource:
    """Watts in the mean since the reading before, by how busy the whole machine was."""

    def __init__(
        self,
        device: Device,
        rated_w: float,
        sensors: Sensors,
        times: Callable[[], tuple[float, float]] = busy_and_all_s,
    ) -> None:
        self._device = device
        self._rated_w = rated_w
        self._sensors = sensors
        self._times = times
        self._before = times()
        self._watts = power_w(rated_w, 0.0)

    @property
    def devices(self) -> tuple[Device, ...]:
        return (self._device,)

    def read(self) -> tuple[Reading, ...]:
        busy_s, all_s = self._times()
        passed_s = all_s - self._before[1]
        if passed_s > 0:
            self._watts = power_w(self._rated_w, (busy_s - self._before[0]) / passed_s)
            self._before = (busy_s, all_s)
        reading = Reading(
            watts=self._watts,
            temperature_c=self._sensors.temperature_c("0"),
            clock_mhz=self._sensors.clock_mhz(),
        )
        return (reading,)

    def close(self) -> None:
        pass
