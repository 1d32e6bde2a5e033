"""From what was metered and what was answered to the energy of a span."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pilotlight.meter.energy import JOULES_PER_WH, DeviceEnergy, Energy, per
from pilotlight.meter.idle import Idle
from pilotlight.meter.series import UNKNOWN_SHARE, Series
from pilotlight.meter.source import Device
from pilotlight.meter.tally import Point
from pilotlight.meter.totals import counted, source_of
from pilotlight.meter.windows import (
    ENOUGH,
    WINDOW_S,
    Answer,
    Cut,
    Window,
    outliers,
    quartiles,
    windows,
    with_output,
)
from pilotlight.metrics import Spread

Span = tuple[float, float]
"""From when until when."""

RESTLESS = 0.1
"""Net over gross, below which other work, and not rest, must have been in the baseline."""


def energy(
    series: Series, spans: Sequence[Span], answers: Sequence[Answer], idle: Idle | None = None
) -> Energy:
    """Of `spans` on the meter's clock, one a run; what `answers` have beyond them doesn't count.

    Without a device that says anything there are tokens, notes and no joules.
    """
    total = _Total(series, counted(series.devices), idle)
    gross_j = total.gross_j(spans)
    joules = _unknown if gross_j is None else total.joules
    by_span = [windows(Cut.of(*span), answers, joules, total.idle_w) for span in spans]
    each = [window for found in by_span for window in found]
    shortest_s = min(window.seconds for window in each)
    net_j = total.net_j(spans)
    found = Energy(
        seconds=seconds_of(spans),
        output_tokens=sum(window.output_tokens for window in each),
        total_tokens=sum(window.total_tokens for window in each),
        requests=sum(_within(answer.last_s, spans) for answer in answers),
        devices=tuple(_device(series, device, spans, idle) for device in series.devices),
        source=None if gross_j is None else source_of(series.devices),
        gross_j=gross_j,
        net_j=net_j,
        idle=idle.what if idle is not None and net_j is not None else None,
        windows=len(each),
        window_s=shortest_s,
        enough_windows=len(each) >= ENOUGH and shortest_s >= WINDOW_S * (1 - 1e-9),
        watts=quartiles(_known(each, lambda window: per(window.joules, window.seconds))),
    )
    found = replace(found, notes=(*series.notes, *_notes(found, series)))
    return _with_tokens(found, [window for lot in by_span for window in with_output(lot)])


def _unknown(begin_s: float, end_s: float) -> None:
    """Where a device failed for too long, the windows that it knew would stand for all."""


def seconds_of(spans: Iterable[Span]) -> float:
    return sum(end_s - begin_s for begin_s, end_s in spans)


def _within(at_s: float, spans: Sequence[Span]) -> bool:
    return any(begin_s <= at_s <= end_s for begin_s, end_s in spans)


@dataclass(frozen=True, slots=True)
class _Total:
    """Over the devices that are counted; unknown where one of them is."""

    series: Series
    devices: tuple[Device, ...]
    idle: Idle | None

    def joules(self, begin_s: float, end_s: float) -> float | None:
        return _whole([self.series.joules(each.name, begin_s, end_s) for each in self.devices])

    @property
    def idle_w(self) -> float | None:
        if self.idle is None or not self.devices:
            return None
        watts = self.idle.watts
        names = [device.name for device in self.devices]
        return sum(watts[name] for name in names) if all(n in watts for n in names) else None

    def gross_j(self, spans: Sequence[Span]) -> float | None:
        return _whole([self.joules(*span) for span in spans])

    def net_j(self, spans: Sequence[Span]) -> float | None:
        gross_j, idle_w = self.gross_j(spans), self.idle_w
        return None if gross_j is None or idle_w is None else gross_j - idle_w * seconds_of(spans)


def _with_tokens(found: Energy, whole: Sequence[Window]) -> Energy:
    """And its figures per token."""
    gross = _known(whole, lambda window: per(window.joules, window.output_tokens))
    net = _known(whole, lambda window: per(window.net_joules, window.output_tokens))
    total = _known(whole, lambda window: per(window.joules, window.total_tokens))
    far = outliers(gross)
    plain = len(gross) > 1 and not far
    return replace(
        found,
        joules_per_output_token=quartiles(gross),
        net_joules_per_output_token=quartiles(net),
        joules_per_total_token=quartiles(total),
        wh_per_output_token=quartiles([value / JOULES_PER_WH for value in gross]),
        net_wh_per_output_token=quartiles([value / JOULES_PER_WH for value in net]),
        outliers=far,
        mean_joules_per_output_token=statistics.fmean(gross) if plain else None,
        sd_joules_per_output_token=statistics.stdev(gross) if plain else None,
    )


def _known(each: Sequence[Window], figure: Callable[[Window], float | None]) -> list[float]:
    return [value for window in each if (value := figure(window)) is not None]


def _whole(values: Sequence[float | None]) -> float | None:
    """Their sum; unknown where one is, or where there is none."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _device(
    series: Series, device: Device, spans: Sequence[Span], idle: Idle | None
) -> DeviceEnergy:
    parts = [series.part(device.name, *span) for span in spans]
    gross_j = _whole([series.joules(device.name, *span) for span in spans])
    idle_w = idle.watts.get(device.name) if idle is not None else None
    seconds = seconds_of(spans)
    points = [point for span in spans for point in series.within(device.name, *span)]
    return DeviceEnergy(
        device=device.name,
        kind=device.kind,
        title=device.title,
        source=device.source,
        method=device.method,
        gross_j=gross_j,
        idle_w=idle_w,
        net_j=None if gross_j is None or idle_w is None else gross_j - idle_w * seconds,
        mean_w=per(gross_j, seconds),
        temperature_c=_seen(points, lambda point: point.temperature_c),
        clock_mhz=_seen(points, lambda point: point.clock_mhz),
        in_total=device in counted(series.devices),
        unknown_s=sum(part.unknown_s for part in parts),
        resets=sum(part.resets for part in parts),
    )


def _seen(points: Sequence[Point], figure: Callable[[Point], float | None]) -> Spread | None:
    values = [value for point in points if (value := figure(point)) is not None]
    return Spread(statistics.median(values), min(values), max(values)) if values else None


def _notes(found: Energy, series: Series) -> Iterator[str]:
    for each in found.devices:
        if each.gross_j is None and each.in_total:
            yield (
                f"{each.device} gave no figure for {each.unknown_s:.3g} s, more than "
                f"{UNKNOWN_SHARE:.0%} of the span: there is no total"
            )
        if not each.in_total:
            yield f"{each.device} is estimated, and not in the totals, which are measured"
    if found.gross_j and found.net_j is not None and found.net_j < RESTLESS * found.gross_j:
        yield (
            "the baseline drew nearly as much as the run: the machine wasn't at rest, or its work "
            "was on devices that aren't in the total, so net figures say nothing; measure again "
            "while nothing else runs"
        )
    if series.devices and not found.enough_windows:
        lots = "1 window" if found.windows == 1 else f"{found.windows} windows"
        yield (
            f"{lots} of {found.window_s:.3g} s: run for {ENOUGH * WINDOW_S:g} s or longer "
            "for quartiles that say something"
        )
