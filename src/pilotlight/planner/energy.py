"""Power from a device's rating, where nothing measures it: always labelled as an estimate."""

from __future__ import annotations

IDLE_SHARE = 0.1
"""Of the rating, with nothing to do. P = TDP·(0.1 + 0.9·load³) is the machine power model of
Gandhi et al., "Optimal Power Allocation in Server Farms", as server studies use it."""


def power_w(tdp_w: float, load: float) -> float:
    """Mean power at a load between 0 and 1: the share of the peak that the busiest part reaches."""
    return tdp_w * (IDLE_SHARE + (1 - IDLE_SHARE) * min(max(load, 0.0), 1.0) ** 3)


def joules_per_token(watts: float, tokens_per_s: float) -> float:
    """J/token = W / (tokens/s)."""
    return watts / tokens_per_s
