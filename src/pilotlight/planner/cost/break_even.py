"""From what traffic on one way to serve it is cheaper than another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

SCALES = tuple(10 ** (step / 8) for step in range(-24, 25))
"""Of the planned traffic, from a thousandth to a thousandfold."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Dollars a month at each of `SCALES` times the planned traffic."""

    usd: tuple[float, ...]

    @classmethod
    def of(cls, usd_at: Callable[[float], float]) -> Curve:
        return cls(tuple(usd_at(scale) for scale in SCALES))

    @classmethod
    def by_token(cls, usd_per_month: float) -> Curve:
        """Of what costs that much at the planned traffic, and each request the same."""
        return cls.of(lambda scale: usd_per_month * scale)


@dataclass(frozen=True, slots=True)
class BreakEven:
    """`scale` times the planned traffic is where it turns; None where it never does."""

    scale: float | None
    cheaper: Literal["above", "below", "always", "never"]


def break_even(one: Curve, other: Curve) -> BreakEven:
    """Where `one` is the cheaper: on which side of the crossing nearest to the planned traffic.

    Costs are taken as straight between two scales; those of fixed machines and of APIs are.
    """
    ahead = [a - b for a, b in zip(one.usd, other.usd, strict=True)]
    crossings = [
        _crossing(at, ahead)
        for at in range(len(ahead) - 1)
        if (ahead[at] < 0) != (ahead[at + 1] < 0)
    ]
    if not crossings:
        return BreakEven(None, "always" if ahead[0] < 0 else "never")
    return min(crossings, key=lambda found: max(found.scale or 1, 1 / (found.scale or 1)))


def _crossing(at: int, ahead: list[float]) -> BreakEven:
    low, high = ahead[at], ahead[at + 1]
    scale = SCALES[at] + (SCALES[at + 1] - SCALES[at]) * low / (low - high)
    return BreakEven(scale, "below" if low < 0 else "above")
