"""Waiting: for a place in the batch, for other prompts, and how the unlucky ones fare.

Requests arrive as a Poisson process and answers' lengths vary as exponential ones do. Places are
then servers of a queue: Erlang's C is the chance that all are taken, and whoever waits does so for
an exponential time of mean 1/(μ - λ). Prompts form a queue with one server and equal work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds, by percentile."""

    probability: float
    mean_s: float
    """Of those who wait."""

    def at(self, percentile: float) -> float:
        """What `percentile` per cent of all requests don't exceed."""
        beyond = 1 - percentile / 100
        if self.probability <= beyond:
            return 0.0
        return self.mean_s * math.log(self.probability / beyond)

    @property
    def overall_s(self) -> float:
        """The mean over all requests."""
        return self.probability * self.mean_s


def for_a_place(requests_per_s: float, capacity_per_s: float, held_s: float, places: float) -> Wait:
    """Until one of `places` is free. A request holds its own for `held_s` at the usual batch, which
    is quicker than the full one that the capacity is of; arrivals stay below the capacity."""
    taken = erlang_c(min(requests_per_s * held_s, places * MOST_LOAD), places)
    return Wait(taken, 1 / (capacity_per_s - requests_per_s))


def erlang_c(offered: float, places: float) -> float:
    """The chance that all places are taken: by Erlang's B, which a recursion over places gives.

    Past `EXACT` places Halfin and Whitt's limit for many servers stands in.
    """
    count = max(int(places), 1)
    load = offered / count
    if count > EXACT:
        return _halfin_whitt((1 - load) * math.sqrt(count))
    blocked = 1.0
    for server in range(1, count + 1):
        blocked = offered * blocked / (server + offered * blocked)
    return blocked / (1 - load * (1 - blocked))


def _halfin_whitt(slack: float) -> float:
    """1 / (1 + β·Φ(β)/φ(β)), with β the spare places in standard deviations of the load."""
    normal = NormalDist()
    return 1 / (1 + slack * normal.cdf(slack) / normal.pdf(slack))


def for_prompts(requests_per_s: float, prompt_s: float) -> Wait:
    """Until earlier prompts are done: the mean is half of M/M/1's, for the work is equal."""
    load = min(requests_per_s * prompt_s, MOST_LOAD)
    return Wait(load, prompt_s / (2 * (1 - load)))


def crowded(mean: float, percentile: float, spread: float = 1.0) -> float:
    """How many are there when it's as crowded as in `percentile` per cent of cases.

    By the normal distribution with this mean and `spread` times it as variance; 1 is Poisson's.
    """
    deviations = NormalDist().inv_cdf(percentile / 100)
    return mean + max(deviations, 0.0) * math.sqrt(mean * spread)


EXACT = 64
"""Places up to which Erlang's recursion is run."""

MOST_LOAD = 0.99
"""Where prompts alone fill the device, the queue for places says so; this one stays finite."""
