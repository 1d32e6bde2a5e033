"""Joules of this machine up to now, though its meter looks only twice a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pilotlight.metrics import EnergySource

AHEAD_S = 1.0
"""How far the last sample is carried on: a meter that hangs must not charge for ever."""

STALE_S = 30.0
"""Without a sample for so long nobody can tell; a meter takes one every four seconds at least."""


class Total(Protocol):
    """As `meter.meter.Total`: joules since the meter began, as of its last sample."""

    @property
    def at_s(self) -> float: ...

    @property
    def gross_j(self) -> float | None: ...

    @property
    def source(self) -> EnergySource | None: ...


class Power:
    """Between samples it goes on with the watts of the last; it never falls, so what was charged
    too much is made good by what comes next, and all charges together are what was metered."""

    def __init__(self, total: Callable[[], Total]) -> None:
        self._total = total
        self._told_j = 0.0
        self._at_s = 0.0
        self._joules = 0.0
        self._watts = 0.0
        self.source: EnergySource | None = None

    def joules(self, now_s: float) -> float | None:
        """Times are the meter's clock. None while the meter can't tell."""
        total = self._total()
        if total.gross_j is None or now_s - total.at_s > STALE_S:
            self.source = None
            return None
        if total.at_s > self._at_s:
            if self._at_s:
                watts = (total.gross_j - self._joules) / (total.at_s - self._at_s)
                self._watts = max(0.0, watts)
            self._at_s, self._joules = total.at_s, total.gross_j
        self.source = total.source
        ahead_s = min(now_s - self._at_s, AHEAD_S)
        self._told_j = max(self._told_j, self._joules + self._watts * ahead_s)
        return self._told_j
