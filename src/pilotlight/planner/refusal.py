"""Why a candidate won't do, and by how much: the nearest miss of a family speaks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Obstacle = Literal["engine", "quality", "platform", "memory", "speed", "capacity", "cost"]

_STAGE: Mapping[Obstacle, int] = {
    "engine": 0, "quality": 1, "platform": 2, "memory": 3, "speed": 4, "capacity": 5, "cost": 6,
}  # fmt: skip
"""How far a candidate came before it was turned down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """`excess` is by how much the limit is broken, as a share of it."""

    kind: Obstacle
    reason: str
    excess: float = 0.0

    @property
    def distance(self) -> tuple[int, float]:
        """Less is nearer to a plan."""
        return (-_STAGE[self.kind], self.excess)
