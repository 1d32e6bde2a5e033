"""One device's joules, added up from its readings through wraps, resets and gaps."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.meter.source import Device, Reading

GAP_S = 5.0
"""Watts say nothing of a longer time between two readings: the machine slept, or the device did."""
UPDATE_S = 1.0
"""A counter is brought up to date every so often, NVML's every 0.1 s: what it grew by between two
readings may be that much older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """All up to a moment, since the first reading."""

    at_s: float
    joules: float = 0.0
    unknown_s: float = 0.0
    resets: int = 0
    temperature_c: float | None = None
    clock_mhz: float | None = None


class Tally:
    """Readings in, points out. A reading without a figure gives none: the next one closes the gap
    where it can."""

    __slots__ = ("_before", "_device", "_last")

    def __init__(self, device: Device) -> None:
        self._device = device
        self._before: Reading | None = None
        self._last: Point | None = None

    @property
    def last(self) -> Point | None:
        return self._last

    def add(self, at_s: float, reading: Reading) -> Point | None:
        if (reading.count if self._device.method == "counter" else reading.watts) is None:
            return None
        last = self._last or Point(at_s=at_s)
        passed_s = at_s - last.at_s
        joules, reset = self._since(reading, passed_s) if self._before else (0.0, False)
        self._before = reading
        self._last = Point(
            at_s=at_s,
            joules=last.joules + (joules or 0.0),
            unknown_s=last.unknown_s + (passed_s if joules is None else 0.0),
            resets=last.resets + reset,
            temperature_c=reading.temperature_c,
            clock_mhz=reading.clock_mhz,
        )
        return self._last

    def _since(self, now: Reading, passed_s: float) -> tuple[float | None, bool]:
        """Joules since the reading before, None where nobody can tell; and whether it was reset."""
        before = self._before
        assert before is not None
        if self._device.method != "counter":
            return self._integrated(before, now, passed_s), False
        joules = self._counted(before, now, passed_s)
        if joules is not None:
            return joules, False
        return _mean_watts(before, now, passed_s), True

    def _integrated(self, before: Reading, now: Reading, passed_s: float) -> float | None:
        if self._device.method == "rating":
            return (now.watts or 0.0) * passed_s
        return _mean_watts(before, now, passed_s)

    def _counted(self, before: Reading, now: Reading, passed_s: float) -> float | None:
        device = self._device
        grown = (now.count or 0) - (before.count or 0)
        if grown < 0:
            if device.wraps_at is None:
                return None
            grown += device.wraps_at
        joules = grown / device.counts_per_j
        if device.most_w is None:
            return joules
        most_j = device.most_w * (passed_s + UPDATE_S)
        # In a time in which it may have wrapped twice nobody knows how often it did.
        often = device.wraps_at is not None and most_j >= device.wraps_at / device.counts_per_j
        return None if joules > most_j or often else joules


def _mean_watts(before: Reading, now: Reading, passed_s: float) -> float | None:
    if before.watts is None or now.watts is None or passed_s > GAP_S:
        return None
    return (before.watts + now.watts) / 2 * passed_s
