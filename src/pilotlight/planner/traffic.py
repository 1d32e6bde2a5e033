"""What traffic a plan is priced for: arrivals at rates that repeat, or those of a trace."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

from pilotlight.errors import PlanError
from pilotlight.planner.traces import Trace

HOURS_PER_MONTH = 730.0

MOST_PER_S = 1e5
"""Requests a second that a plan is made for; the search takes longer with every replica."""
"""A twelfth of 365 days."""

MONTH_S = HOURS_PER_MONTH * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests come at random (Poisson) at `rates_per_s`, one rate for each `slot_s`, repeated.

    24 rates are a day by hours, 168 a week. With a `trace` those are its means, and a price
    can be had for exactly its arrivals.
    """

    rates_per_s: tuple[float, ...]
    input_tokens: float
    output_tokens: float
    slot_s: float = 3600.0
    trace: Trace | None = None

    def __post_init__(self) -> None:
        wrong = [rate for rate in self.rates_per_s if not (math.isfinite(rate) and rate >= 0)]
        if wrong:
            raise PlanError(
                f"the traffic has a rate of {wrong[0]!r} requests/s", hint="give 0 or more"
            )
        if (most := max(self.rates_per_s, default=0.0)) > MOST_PER_S:
            raise PlanError(
                f"the traffic has {most:g} requests/s, and plans go up to {MOST_PER_S:g}",
                hint="plan for a share of it: beyond that all costs grow in proportion",
            )
        if not any(self.rates_per_s):
            raise PlanError("the traffic has no request: nothing to plan for", hint="give a load")

    @property
    def peak_per_s(self) -> float:
        return max(self.rates_per_s)

    @property
    def mean_per_s(self) -> float:
        return sum(self.rates_per_s) / len(self.rates_per_s)

    @property
    def active_share(self) -> float:
        """Of the time, in which there is any traffic."""
        return sum(rate > 0 for rate in self.rates_per_s) / len(self.rates_per_s)

    @property
    def requests_per_month(self) -> float:
        return self.mean_per_s * MONTH_S

    @property
    def cycles_per_month(self) -> float:
        return MONTH_S / (self.slot_s * len(self.rates_per_s))

    def slots(self) -> Mapping[float, float]:
        """How many slots of a cycle have about each rate; near ones count as their mean."""
        return _few_rates(self.rates_per_s)

    def pauses(self) -> tuple[tuple[float, float, float], ...]:
        """Each time without traffic between slots that have some: the rates around it, its s."""
        return _pauses(self.rates_per_s, self.slot_s)

    def scaled(self, factor: float) -> Traffic:
        """As many times the requests, at the same hours. Keeps no trace: it would be another."""
        return replace(
            self, rates_per_s=tuple(rate * factor for rate in self.rates_per_s), trace=None
        )


RATES = 8
"""As many different ones tell a day's shape; each takes its own working out."""


@lru_cache(maxsize=256)
def _few_rates(rates_per_s: tuple[float, ...]) -> Mapping[float, float]:
    lots = sorted(Counter(rate for rate in rates_per_s if rate > 0).items())
    while len(lots) > RATES:
        at = min(range(len(lots) - 1), key=lambda at: lots[at + 1][0] / lots[at][0])
        (low, few), (high, more) = lots[at : at + 2]
        lots[at : at + 2] = [((low * few + high * more) / (few + more), few + more)]
    return MappingProxyType(dict(lots))


@lru_cache(maxsize=256)
def _pauses(
    rates_per_s: tuple[float, ...], slot_s: float
) -> tuple[tuple[float, float, float], ...]:
    first = next(at for at, rate in enumerate(rates_per_s) if rate > 0)
    found, empty = [], 0
    before = rates_per_s[first]
    # Once around: a pause may run over the end of the cycle.
    for rate in (*rates_per_s[first + 1 :], *rates_per_s[: first + 1]):
        if rate == 0:
            empty += 1
            continue
        if empty:
            found.append((before, rate, empty * slot_s))
        before, empty = rate, 0
    return tuple(found)


def steady(
    requests_per_s: float, input_tokens: float, output_tokens: float, hours_per_day: float = 24.0
) -> Traffic:
    """The same rate for the first `hours_per_day` of every day, none in the others."""
    # A part of an hour becomes a slot of its own: slots are as long as need be for it to be whole.
    slot_s = 3600.0 if hours_per_day == int(hours_per_day) else 360.0
    slots, active = round(86400 / slot_s), max(1, round(hours_per_day * 3600 / slot_s))
    share = hours_per_day * 3600 / slot_s / active
    rates = (requests_per_s * share,) * active + (0.0,) * (slots - active)
    return Traffic(
        rates_per_s=rates, input_tokens=input_tokens, output_tokens=output_tokens, slot_s=slot_s
    )


def hourly(rates_per_s: tuple[float, ...], input_tokens: float, output_tokens: float) -> Traffic:
    """A rate for each hour of a day (24) or a week (168)."""
    if len(rates_per_s) not in (24, 168):
        raise PlanError(
            f"{len(rates_per_s)} hourly rates", hint="give 24 for a day or 168 for a week"
        )
    return Traffic(rates_per_s=rates_per_s, input_tokens=input_tokens, output_tokens=output_tokens)


def from_trace(trace: Trace) -> Traffic:
    """Means over slots of an hour, of five minutes where the trace is shorter than six hours."""
    duration_s = trace.duration_s
    count = max(1, round(duration_s / (3600 if duration_s >= 6 * 3600 else 300)))
    slot_s = duration_s / count
    met = Counter(min(count - 1, int(one.at_s / slot_s)) for one in trace.arrivals)
    return Traffic(
        rates_per_s=tuple(met[slot] / slot_s for slot in range(count)),
        input_tokens=trace.input_tokens,
        output_tokens=trace.output_tokens,
        slot_s=slot_s,
        trace=trace,
    )
