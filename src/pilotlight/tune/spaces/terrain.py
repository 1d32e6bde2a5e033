"""What a space is drawn for: this machine, this load, and what was fixed beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pilotlight.machine import Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Terrain:
    """`given` are the model's options before tuning; `users` asked at once, where that is known."""

    machine: Machine
    given: Mapping[str, Any] = field(default_factory=dict)
    users: int | None = None


def doublings(low: int, high: int) -> tuple[int, ...]:
    """Powers of two from `low` up to `high`."""
    return tuple(1 << power for power in range(low.bit_length() - 1, high.bit_length()))


def thread_counts(cores: int) -> tuple[int, ...]:
    """Few of many: one, the halves and the three quarters, which is where two threads of one core
    or an engine's own other threads begin to hurt, and all."""
    return tuple(sorted({1, max(1, cores // 2), max(1, cores * 3 // 4), cores}))
