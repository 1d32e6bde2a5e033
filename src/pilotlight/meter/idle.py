"""What the machine draws anyway: the baseline that net figures leave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pilotlight.meter.series import Series


@dataclass(frozen=True, slots=True)
class Idle:
    """`watts` by device, those whose draw was known; `what` says when it was taken."""

    watts: Mapping[str, float]
    seconds: float
    what: str


def idle(series: Series, begin_s: float, end_s: float, what: str) -> Idle:
    """In the mean over a span in which nothing was asked.

    It is a rate: a device that was silent for less than half of the span has that of the rest.
    """
    seconds = end_s - begin_s
    parts = {each.name: series.part(each.name, begin_s, end_s) for each in series.devices}
    known = {name: part for name, part in parts.items() if part.unknown_s <= seconds / 2}
    watts = {name: part.joules / (seconds - part.unknown_s) for name, part in known.items()}
    return Idle(watts, seconds, what)
