"""Ledgers with clocks and meters at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotlight.config import LedgerSettings
from pilotlight.meter.ledger.entry import Entry
from pilotlight.meter.ledger.ledger import Ledger
from pilotlight.metrics import EnergySource

DAY_S = 86400.0
MIDNIGHT_S = 20_000 * DAY_S
"""2024-10-04 (UTC)."""


@dataclass
class Meter:
    """Says what it is told; a `power.Total` of its own."""

    at_s: float = 0.0
    gross_j: float | None = 0.0
    source: EnergySource | None = "measured-rapl"

    def __call__(self) -> Meter:
        return self

    def says(self, at_s: float, gross_j: float | None) -> None:
        self.at_s, self.gross_j = at_s, gross_j


@dataclass
class Time:
    now_s: float = 0.0

    def now(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return MIDNIGHT_S + self.now_s


def ledger(
    directory: Path,
    time: Time,
    meter: Meter | None = None,
    *,
    wall: Callable[[], float] | None = None,
    **settings: Any,
) -> Ledger:
    given = LedgerSettings(**settings)
    return Ledger(directory, given, now=time.now, wall=wall or time.wall, total=meter)


def entry(**fields: Any) -> Entry:
    """An answered chat, but for `fields`."""
    usual: dict[str, Any] = {
        "at_s": MIDNIGHT_S,
        "request": "r",
        "key": "k",
        "model": "m",
        "replica": "m-1",
        "operation": "chat",
        "outcome": "answered",
        "counted": "engine",
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "engine_s": 1.0,
    }
    return Entry(**{**usual, **fields})
