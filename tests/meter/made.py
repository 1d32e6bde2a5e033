"""Devices that a test says everything of, and a clock that it turns."""

from __future__ import annotations

from pilotlight.meter.source import Device, Reading
from pilotlight.metrics import EnergySource


class Clock:
    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class Drawn:
    """One device with a counter of joules that grows as it is told; None: it fails."""

    def __init__(self, name: str = "package-0", source: EnergySource = "measured-rapl") -> None:
        kind = "gpu" if name.startswith("gpu") else "cpu"
        self._device = Device(
            name=name, kind=kind, title=name, source=source, method="counter", counts_per_j=1000
        )
        self.joules: float | None = 0.0
        self.temperature_c: float | None = None
        self.closed = False

    @property
    def devices(self) -> tuple[Device, ...]:
        return (self._device,)

    def read(self) -> tuple[Reading, ...]:
        assert not self.closed
        count = None if self.joules is None else round(self.joules * 1000)
        return (Reading(count=count, temperature_c=self.temperature_c),)

    def close(self) -> None:
        self.closed = True
