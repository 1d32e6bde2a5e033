"""Power from a device's rating, where nothing measures it: always labelled as an estimate."""

from __future__ import annotations

IDLE_SHARE = 0.1
"""Of the rating, with nothing to do. P = TDP·(0.1 + 0.9·load³) is the machine power model of
Gandhi et al., "Optimal Power Allocation in Server Farms", as server studies use it."""

WATTS_PER_CORE = 5.0
"""Of a server's processor that nobody knows more of."""


def power_w(rated_w: float, load: float) -> float:
    """Mean power at a load between 0 and 1: the share of the peak that the busiest part reaches."""
    return rated_w * (IDLE_SHARE + (1 - IDLE_SHARE) * min(max(load, 0.0), 1.0) ** 3)
