"""What metering takes of a core: of this machine's own sources, and of a large one's, made up.

    python -m benchmarks.meter_overhead [--seconds 30]

The large machine has eight GPUs (their library answers at once, so that the time is all ours) and a
powercap tree of two sockets with memory, as files on disk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Figure, Goal, Report
from pilotlight.meter.meter import Meter
from pilotlight.meter.rapl import RaplSource, open_rapl
from pilotlight.meter.registry import meter_here
from pilotlight.meter.source import Device, PowerSource, Reading
from pilotlight.meter.wanted import Wanted

MOST = 0.01
GPUS = 8


class Gpus:
    """As many counters as a large machine has, which cost what handing them over costs."""

    def __init__(self) -> None:
        self.devices = tuple(
            Device(
                name=f"gpu{index}",
                kind="gpu",
                title="made up",
                source="measured-nvml",
                method="counter",
                counts_per_j=1000,
                wraps_at=2**64,
                most_w=1000,
            )
            for index in range(GPUS)
        )

    def read(self) -> tuple[Reading, ...]:
        millijoules = int(time.perf_counter() * 400_000)
        one = Reading(count=millijoules, watts=400.0, temperature_c=60.0, clock_mhz=1700.0)
        return (one,) * GPUS

    def close(self) -> None:
        pass


def rapl(root: Path) -> PowerSource:
    for socket in range(2):
        package = root / f"intel-rapl:{socket}"
        _zone(package, f"package-{socket}")
        _zone(package / f"intel-rapl:{socket}:0", "dram")
    source = open_rapl(Wanted(powercap=root)).source
    assert isinstance(source, RaplSource)
    return source


def _zone(path: Path, name: str) -> None:
    path.mkdir(parents=True)
    for file, text in (("name", name), ("energy_uj", "1"), ("max_energy_range_uj", "262143328850")):
        (path / file).write_text(text)


def share(meter: Meter, seconds: float) -> float:
    with meter:
        time.sleep(seconds)
        return meter.overhead


def measured(seconds: float) -> Report:
    with tempfile.TemporaryDirectory() as place:
        large: Sequence[PowerSource] = (Gpus(), rapl(Path(place)))
        figures = (
            Figure("this machine's sources", "of a core", share(meter_here(), seconds), Goal(MOST)),
            Figure("8 GPUs and 2 sockets", "of a core", share(Meter(large), seconds), Goal(MOST)),
        )
    return Report("meter_overhead", figures, {"seconds": seconds})


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.meter_overhead", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument(
        "--output", type=Path, help="JSON; else benchmarks/results/meter_overhead.json"
    )
    asked = parser.parse_args()
    return measured(asked.seconds).publish(asked.output)


if __name__ == "__main__":
    raise SystemExit(main())
