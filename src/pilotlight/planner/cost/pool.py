"""Instances that start when needed and stop after an idle time, under random arrivals.

Requests in the system are an M/M/∞ queue: a platform that starts instances on demand makes nobody
wait for another's request. Each goes to the first instance with room, `concurrency` on each, so
instance m is needed when there come to be more than (m - 1)·concurrency. It stops when it was not
needed for an idle time, and the next need of it is a cold start: cold starts are the returns to an
instance's level that come later than that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from pilotlight.planner.cost.overflow import busy_shares
from pilotlight.planner.cost.poisson import at_least
from pilotlight.planner.cost.returns import Chain, Return

NEGLIGIBLE = 1e-6
"""A share of time in which an instance is busy that is left out of account."""


@dataclass(frozen=True, slots=True)
class Member:
    """`count` instances next to each other in the order of use; each has these shares and rates."""

    count: int
    busy: float
    """Share of time with requests."""

    up: float
    """Share of time from a start to the next stop, busy or idle, without the starting."""

    starts_per_s: float
    """Times it turns from idle or stopped to busy."""

    cold_per_s: float
    """Times it has to be started for that."""

    waiting_per_s: float
    """Requests that wait for such a start: the one that asks for it, and who comes meanwhile."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Instances by the order in which they are used, as many as are ever needed."""

    always: int
    """The first so many, which always have requests."""

    members: tuple[Member, ...]
    """Those after them."""

    def without(self, first: int) -> Pool:
        """All but the `first` so many."""
        always, first = max(0, self.always - first), max(0, first - self.always)
        members = []
        for one in self.members:
            left = max(0, one.count - first)
            first -= one.count - left
            if left:
                members.append(_counted(one, left))
        return Pool(always, tuple(members))

    @property
    def busy(self) -> float:
        """Instances with requests, in the mean."""
        return self.always + sum(one.count * one.busy for one in self.members)

    @property
    def up(self) -> float:
        return self.always + sum(one.count * one.up for one in self.members)

    @property
    def starts_per_s(self) -> float:
        return sum(one.count * one.starts_per_s for one in self.members)

    @property
    def cold_per_s(self) -> float:
        return sum(one.count * one.cold_per_s for one in self.members)

    @property
    def waiting_per_s(self) -> float:
        return sum(one.count * one.waiting_per_s for one in self.members)

    def needed(self, share: float) -> int:
        """Instances that are busy for more than that share of the time."""
        return self.always + sum(one.count for one in self.members if one.busy > share)


def _counted(one: Member, count: int) -> Member:
    return Member(count, one.busy, one.up, one.starts_per_s, one.cold_per_s, one.waiting_per_s)


@lru_cache(maxsize=16384)
def pool(
    arrivals_per_s: float, residence_s: float, concurrency: int, idle_s: float, start_s: float
) -> Pool:
    """What instances there are at a constant rate of arrivals."""
    load = arrivals_per_s * residence_s
    chain = Chain.of(load, residence_s)
    always, each, levels = _levels(chain, concurrency)
    if not levels:
        return Pool(always, ())
    shares = busy_shares(load, levels, concurrency, each)
    members = []
    for level, busy, back in zip(levels, shares, chain.returns(levels, idle_s), strict=True):
        joins = _joins(load, level, start_s / residence_s) if level > 1 else 1.0
        waiting = 1 + min(concurrency - 1, arrivals_per_s * start_s * joins)
        members.append(_member(each, busy, back, start_s, waiting))
    return Pool(always, tuple(members))


def _levels(chain: Chain, concurrency: int) -> tuple[int, int, list[int]]:
    """How many instances are always busy; then how many go together, and where each lot begins."""
    always = -(-chain.lowest // concurrency)
    each = max(1, chain.step // concurrency)
    levels, level = [], always * concurrency + 1
    while level == 1 or at_least(chain.load, level) > NEGLIGIBLE:
        levels.append(level)
        level += each * concurrency
    return always, each, levels


def _member(count: int, busy: float, back: Return, start_s: float, waiting: float) -> Member:
    cold_per_s = back.per_s * back.later
    # Each start puts off everything after it by its own length, which stretches the cycle.
    stretch = 1 + cold_per_s * start_s
    return Member(
        count=count,
        busy=busy / stretch,
        up=min(1.0, max(busy, 1 - back.per_s * back.beyond_s)) / stretch,
        starts_per_s=back.per_s / stretch,
        cold_per_s=cold_per_s / stretch,
        waiting_per_s=cold_per_s * waiting / stretch,
    )


def _joins(load: float, level: int, start: float) -> float:
    """Of the requests that come while an instance starts, the share that finds all others full.

    Their number has just got to `level` and falls back to its mean as an Ornstein-Uhlenbeck process
    does, which a long M/M/∞ queue comes close to; taken in the middle of the start, which takes
    `start` residence times.
    """
    twice_the_variance = -2 * load * math.expm1(-start)
    if twice_the_variance <= 0:  # as it begins, or so close to it that the product is lost
        return 0.5
    mean = (level - load) * -math.expm1(-start / 2)
    return math.erfc(mean / math.sqrt(twice_the_variance)) / 2
