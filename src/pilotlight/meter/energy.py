"""What a run took of electricity: every figure with its source, and None where nothing is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pilotlight.metrics import EnergySource, Spread

DeviceKind = Literal["gpu", "cpu", "dram", "machine"]
Method = Literal["counter", "power", "rating"]
"""A counter of joules; watts, integrated over time; or the rated watts by a formula of the load."""

JOULES_PER_WH = 3600.0
JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEnergy:
    """One device over the whole span."""

    device: str
    """Such as gpu0, package-0, dram-0, machine."""

    kind: DeviceKind
    title: str
    source: EnergySource
    method: Method
    gross_j: float | None
    """None where it said nothing usable."""

    idle_w: float | None = None
    """Of the baseline, by the same source."""

    net_j: float | None = None
    """Gross less the baseline over the same time; below zero, it was noise."""

    mean_w: float | None = None
    temperature_c: Spread | None = None
    """Median, least and most of the samples; clocks likewise."""

    clock_mhz: Spread | None = None
    in_total: bool = True
    unknown_s: float = 0.0
    """Of the span, in which it gave no figure; its joules are then those of the rest."""

    resets: int = 0
    """Times that its counter began anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """A span of a run. Figures per token are over its windows: the median, and low and high are
    the quartiles."""

    seconds: float
    output_tokens: float
    total_tokens: float
    requests: int
    devices: tuple[DeviceEnergy, ...] = ()
    source: EnergySource | None = None
    """Of the totals. An estimate is never added to a measurement: see `in_total` of a device."""

    gross_j: float | None = None
    net_j: float | None = None
    """None without a baseline."""

    idle: str | None = None
    """What the baseline is: such as "30 s before the engine started"."""

    windows: int = 0
    window_s: float = 0.0
    enough_windows: bool = False
    """Five of ten seconds, or more; with fewer the quartiles say little."""

    watts: Spread | None = None
    joules_per_output_token: Spread | None = None
    net_joules_per_output_token: Spread | None = None
    joules_per_total_token: Spread | None = None
    wh_per_output_token: Spread | None = None
    net_wh_per_output_token: Spread | None = None
    outliers: int = 0
    """Windows beyond 1.5 interquartile ranges, of the joules per output token."""

    mean_joules_per_output_token: float | None = None
    sd_joules_per_output_token: float | None = None
    """Both only where there is no outlier."""

    notes: tuple[str, ...] = ()
    """What isn't in it, and why; each ends in the next step where there is one."""

    @property
    def whole_joules_per_output_token(self) -> float | None:
        """All joules over all tokens."""
        return per(self.gross_j, self.output_tokens)

    @property
    def joules_per_request(self) -> float | None:
        return per(self.gross_j, self.requests)

    @property
    def mean_w(self) -> float | None:
        return per(self.gross_j, self.seconds)

    @property
    def gross_kwh(self) -> float | None:
        return per(self.gross_j, JOULES_PER_KWH)


def per(value: float | None, count: float) -> float | None:
    """Unknown of what is unknown, and of nothing."""
    return value / count if value is not None and count else None
