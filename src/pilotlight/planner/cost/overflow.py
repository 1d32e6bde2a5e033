"""How often each of several instances has work when each request goes to the first with room.

What finds the first n places taken overflows to those after them. Its mean is Erlang's; it comes in
clumps, and its variance is Riordan's (R. I. Wilkinson, "Theories for Toll Traffic Engineering in
the U.S.A.", Bell System Technical Journal 35, 1956, appendix I). Requests stay where they began, so
an instance keeps a last one while those before it have room again: busier than if all moved down.
"""

from __future__ import annotations

import math

from pilotlight.planner.cost.returns import FEW


def busy_shares(load: float, levels: list[int], concurrency: int, instances: int) -> list[float]:
    """The mean share of each lot of so many `instances`, which begin at `levels`."""
    ends = [level - 1 + instances * concurrency for level in levels]
    lost = _lost(load, levels[0] - 1, {*(level - 1 for level in levels), *ends})
    if concurrency == 1:
        carried = (
            load * (lost[level - 1] - lost[end]) for level, end in zip(levels, ends, strict=True)
        )
        return [min(1.0, one / instances) for one in carried]
    return [_busy(load, level - 1, lost[level - 1]) for level in levels]


def _busy(load: float, places: int, lost: float) -> float:
    """Of the instance after so many `places`, which find all taken for that share of requests."""
    mean = load * lost
    peakedness = 1 - mean + load / (places + 1 + mean - load)
    if peakedness < 1 + 1e-9:
        return -math.expm1(-mean)
    # Negative binomial: the number in an overflow group, by its mean and variance.
    return -math.expm1(-mean * math.log(peakedness) / (peakedness - 1))


def _lost(load: float, first: int, wanted: set[int]) -> dict[int, float]:
    """Share of requests that finds so many places taken (Erlang's B), for those `wanted`."""
    # Far below the load nearly every place is taken: there the share is what can't be served.
    places = max(0, min(first, int(load - FEW * math.sqrt(load))))
    share = 1 - places / load if places else 1.0
    found = {places: share}
    for taken in range(places + 1, max(wanted) + 1):
        share = load * share / (taken + load * share)
        if taken in wanted:
            found[taken] = share
    return found
