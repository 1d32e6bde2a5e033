"""The rules of thumb that people go by: to hold their tables and a plan against.

Parameters times bits: no mixed types, no cache, no buffers. Whether a model fits is `memory`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MOST_OF_A_GPU = 0.8
"""What people let weights take, so that 20 % (up to 35 %) is left for the cache."""

ROUNDING = 0.051
"""Relative; tables round to whole or half gigabytes."""


def crowding(weights_bytes: int, gpu_bytes: int) -> str:
    """What the rule says of so many weights on a GPU; empty where it has nothing against them."""
    share = weights_bytes / gpu_bytes
    if share <= MOST_OF_A_GPU:
        return ""
    return f"weights take {share:.0%} of the GPU, over the {MOST_OF_A_GPU:.0%} of the rule of thumb"


@dataclass(frozen=True, slots=True)
class Misprint:
    """A figure that its own row contradicts."""

    model: str
    bits: int
    printed_gb: float
    expected_gb: float


def weights_gb(parameters_b: float, bits: float) -> float:
    """Gigabytes of so many billions of parameters."""
    return parameters_b * bits / 8


def misprints(table: Mapping[str, tuple[float, Mapping[int, float]]]) -> tuple[Misprint, ...]:
    """Figures that aren't billions of parameters (first of each pair) times bits."""
    return tuple(
        Misprint(model, bits, printed, weights_gb(parameters_b, bits))
        for model, (parameters_b, row) in table.items()
        for bits, printed in row.items()
        if abs(printed / weights_gb(parameters_b, bits) - 1) > ROUNDING
    )
