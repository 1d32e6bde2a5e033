"""Joules: what a token takes, what idling has in it, and who says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotlight.bench.figures import Estimate
from pilotlight.bench.page.chart.bars import Bar, Part, bars
from pilotlight.bench.page.elements import figure, section, table
from pilotlight.bench.told import estimate_words
from pilotlight.bench.words.labels import Labelled
from pilotlight.meter.energy import DeviceEnergy, Energy
from pilotlight.metrics import Spread
from pilotlight.planner.figures import UNKNOWN, number


def energy(shown: Sequence[Labelled]) -> str:
    title = "Joules per output token"
    rows = [bar for each in shown if (bar := _bar(each))]
    return section(
        "Energy",
        figure(title, bars(title, rows, x_label="J per output token")),
        table(_WHOLE, _totals(shown)),
        table(_DEVICES, _devices(shown), "By device"),
        note="Median over windows, with quartiles as a line. Pale is what the machine takes when "
        "it idles; a figure is measured unless it says estimated.",
    )


def _bar(shown: Labelled) -> Bar | None:
    found = shown.report.stage.energy
    whole = found.joules_per_output_token if found else None
    if found is None or whole is None:
        return None
    words = f"{number(whole.median)} J, {_source(found)}"
    estimated = found.source == "estimated-tdp"
    parts = _parts(found, whole)
    return Bar(shown.name, shown.look, parts, words, whole.low, whole.high, hollow=estimated)


def _parts(found: Energy, whole: Spread) -> tuple[Part, ...]:
    net = found.net_joules_per_output_token
    if net is None or not 0 < net.median < whole.median:
        return (Part("all of it", whole.median),)
    return (
        Part("beyond idling", net.median),
        Part("idling", whole.median - net.median, pale=True),
    )


def _source(found: Energy) -> str:
    return found.source or "source unknown"


_WHOLE = (
    "who", "source", "watts", "J per output token", "beyond idling", "J per token, prompt and all",
    "Wh per 1,000 output tokens", "windows", "idle baseline",
)  # fmt: skip


def _totals(shown: Sequence[Labelled]) -> Iterator[tuple[str, ...]]:
    for each in shown:
        found = each.report.stage.energy
        if found is not None:
            yield (
                each.name, _source(found), _spread(found.watts),
                _spread(found.joules_per_output_token),
                _spread(found.net_joules_per_output_token),
                _spread(found.joules_per_total_token),
                _spread(_thousandfold(found.wh_per_output_token)),
                f"{found.windows} of {number(found.window_s)} s"
                + ("" if found.enough_windows else ", too few to rely on"),
                found.idle or "none",
            )  # fmt: skip


_DEVICES = ("who", "device", "how", "joules", "beyond idling", "watts", "°C", "MHz")


def _devices(shown: Sequence[Labelled]) -> Iterator[tuple[str, ...]]:
    for each in shown:
        found = each.report.stage.energy
        for device in found.devices if found else ():
            yield each.name, *_device(device)


def _device(device: DeviceEnergy) -> tuple[str, ...]:
    how = f"{device.source}, {device.method}" + ("" if device.in_total else ", not in the total")
    return (
        f"{device.title} ({device.device})", how, _number(device.gross_j), _number(device.net_j),
        _number(device.mean_w), _spread(device.temperature_c), _spread(device.clock_mhz),
    )  # fmt: skip


def _thousandfold(found: Spread | None) -> Spread | None:
    if found is None:
        return None
    return Spread(found.median * 1000, found.low * 1000, found.high * 1000)


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else number(value)


def _spread(found: Spread | None) -> str:
    if found is None:
        return UNKNOWN
    return estimate_words(Estimate(found.median, found.low, found.high))
