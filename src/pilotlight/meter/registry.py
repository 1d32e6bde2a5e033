"""The kinds of source, and what of them this machine has."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pilotlight.catalog.catalog import Catalog, load
from pilotlight.meter.meter import PERIOD_S, Meter
from pilotlight.meter.nvml import open_nvml
from pilotlight.meter.rapl import open_rapl
from pilotlight.meter.rated import open_rated
from pilotlight.meter.source import Device, Opened, PowerSource
from pilotlight.meter.wanted import Wanted

MEASURING: Mapping[str, Callable[[Wanted], Opened]] = {"nvml": open_nvml, "rapl": open_rapl}
ESTIMATING: Mapping[str, Callable[[Wanted], Opened]] = {"tdp": open_rated}
"""Asked only where nothing measures the processors."""


@dataclass(frozen=True, slots=True)
class Found:
    """Open sources: whoever has it closes them, a `Meter` by its own end."""

    sources: tuple[PowerSource, ...]
    notes: tuple[str, ...]
    refused: tuple[str, ...] = ()
    """Of the notes, those on devices that could be measured but for something to be mended."""

    @property
    def devices(self) -> tuple[Device, ...]:
        return tuple(device for source in self.sources for device in source.devices)


def open_sources(wanted: Wanted | None = None) -> Found:
    """Blocks for milliseconds; for a tenth of a second where the catalog has to be read."""
    wanted = wanted or Wanted()
    measured = _opened(MEASURING, wanted)
    if any(device.kind == "cpu" for device in measured.devices):
        return replace(measured, refused=measured.notes)
    more = _opened(ESTIMATING, wanted)
    notes = (*measured.notes, *more.notes)
    return Found((*measured.sources, *more.sources), notes, refused=measured.notes)


def _opened(kinds: Mapping[str, Callable[[Wanted], Opened]], wanted: Wanted) -> Found:
    each = [factory(wanted) for factory in kinds.values()]
    return Found(
        tuple(one.source for one in each if one.source is not None),
        tuple(note for one in each for note in one.notes),
    )


def meter_here(
    *,
    gpus: Sequence[int] | None = None,
    rated_w: float | None = None,
    period_s: float = PERIOD_S,
    keep_s: float | None = None,
    ratings: Callable[[], Catalog] = load,
    clock: Callable[[], float] = time.perf_counter,
) -> Meter:
    """A meter of all that this machine has; see `Wanted` for whose joules are left out.

    `ratings` is asked for a device that nothing measures: a user's own rows may have it.
    """
    found = open_sources(Wanted(gpus=gpus, rated_w=rated_w, catalog=ratings))
    return Meter(found.sources, notes=found.notes, period_s=period_s, keep_s=keep_s, clock=clock)


def described(devices: Sequence[Device]) -> str:
    """In a line."""
    return ", ".join(f"{each.name} {each.source}" for each in devices) or "nothing says"
