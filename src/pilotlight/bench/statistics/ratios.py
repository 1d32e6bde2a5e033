"""Ratios with bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pilotlight.bench.figures import Estimate
from pilotlight.bench.statistics.student import mean_of


def ratio(top: Estimate, bottom: Estimate) -> Estimate | None:
    """Of two independent figures above zero, from their own bounds; None of others.

    The method of variance estimates recovery on logarithms (Zou and Donner, Statistics in Medicine
    27, 2008): it keeps what is lopsided in them, and needs no samples.
    """
    if top.value <= 0 or bottom.value <= 0:
        return None
    found = top.value / bottom.value
    down = _both(_below(top), _above(bottom))
    up = _both(_above(top), _below(bottom))
    return Estimate(
        found,
        None if down is None else found * math.exp(-down),
        None if up is None else found * math.exp(up),
    )


def paired(tops: Sequence[float], bottoms: Sequence[float]) -> Estimate:
    """The geometric mean of the ratios of pairs, by Student's t: what drifts over both cancels.

    Raises ValueError where they aren't pairs, or aren't above zero.
    """
    logs = [math.log(top / bottom) for top, bottom in zip(tops, bottoms, strict=True)]
    found = mean_of(logs)
    return Estimate(
        math.exp(found.value),
        None if found.low is None else math.exp(found.low),
        None if found.high is None else math.exp(found.high),
    )


def _below(found: Estimate) -> float | None:
    """How far its lower bound is, in logarithms; a bound of zero is none."""
    return math.log(found.value / found.low) if found.low is not None and found.low > 0 else None


def _above(found: Estimate) -> float | None:
    return math.log(found.high / found.value) if found.high is not None else None


def _both(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else math.hypot(one, other)
