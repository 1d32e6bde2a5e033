"""Which devices make a total: an estimate is never added to a measurement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pilotlight.meter.source import Device
from pilotlight.metrics import EnergySource

_STRONGEST: tuple[EnergySource, ...] = ("measured-nvml", "measured-rapl", "estimated-tdp")


def counted(devices: Sequence[Device]) -> tuple[Device, ...]:
    """Those that are measured; where none is, those that are estimated."""
    measured = tuple(each for each in devices if each.source != "estimated-tdp")
    return measured or tuple(devices)


def source_of(devices: Sequence[Device]) -> EnergySource | None:
    """What a total of them is called; that of GPUs and processors by what the GPUs have."""
    found: Iterable[EnergySource] = {each.source for each in counted(devices)}
    return next((source for source in _STRONGEST if source in found), None)
