"""What was metered so far: a curve of joules for each device, asked about any span of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pilotlight.meter.source import Device
from pilotlight.meter.tally import Point

UNKNOWN_SHARE = 0.05
"""Of a span, beyond which its joules aren't known at all."""


@dataclass(frozen=True, slots=True)
class Part:
    """Of one device in a span."""

    joules: float
    unknown_s: float
    resets: int


@dataclass(frozen=True, slots=True)
class Series:
    """On the clock of runs, `time.perf_counter`. Between two points a device draws evenly."""

    devices: tuple[Device, ...]
    points: Mapping[str, Sequence[Point]]
    """By the device's name, in order of time; without any where it never said a thing."""

    notes: tuple[str, ...] = ()

    def part(self, device: str, begin_s: float, end_s: float) -> Part:
        points = self.points.get(device, ())
        if not points:
            return Part(0.0, end_s - begin_s, 0)
        first_s, last_s = points[0].at_s, points[-1].at_s
        covered_s = max(0.0, min(end_s, last_s) - max(begin_s, first_s))
        begin, end = _at(points, begin_s), _at(points, end_s)
        return Part(
            end.joules - begin.joules,
            end.unknown_s - begin.unknown_s + (end_s - begin_s - covered_s),
            end.resets - begin.resets,
        )

    def joules(self, device: str, begin_s: float, end_s: float) -> float | None:
        """None where too much of the span is unknown."""
        part = self.part(device, begin_s, end_s)
        if part.unknown_s > UNKNOWN_SHARE * (end_s - begin_s):
            return None
        return part.joules

    def within(self, device: str, begin_s: float, end_s: float) -> Sequence[Point]:
        points = self.points.get(device, ())
        return [point for point in points if begin_s <= point.at_s <= end_s]


def _at(points: Sequence[Point], at_s: float) -> Point:
    """Between the points around it; the first or the last one outside of all."""
    after = bisect_right(points, at_s, key=lambda point: point.at_s)
    if after == 0:
        return points[0]
    if after == len(points):
        return points[-1]
    low, high = points[after - 1], points[after]
    share = (at_s - low.at_s) / (high.at_s - low.at_s)
    return Point(
        at_s=at_s,
        joules=low.joules + share * (high.joules - low.joules),
        unknown_s=low.unknown_s + share * (high.unknown_s - low.unknown_s),
        resets=low.resets,
    )
