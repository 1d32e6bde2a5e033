"""Milliseconds on an axis: in the unit that keeps its figures short."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_SECONDS_FROM_MS = 5000.0


@dataclass(frozen=True, slots=True)
class Unit:
    """`ms` of it are one."""

    name: str
    ms: float

    def of(self, value_ms: float) -> float:
        return value_ms / self.ms

    def of_bound(self, value_ms: float | None) -> float | None:
        return None if value_ms is None else value_ms / self.ms


def unit(values_ms: Iterable[float]) -> Unit:
    """One for all that stands on the axis."""
    return Unit("s", 1000.0) if max(values_ms, default=0.0) > _SECONDS_FROM_MS else Unit("ms", 1.0)
