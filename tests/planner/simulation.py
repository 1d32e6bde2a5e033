"""Random arrivals at instances, drawn one by one: what formulas must agree with."""

from __future__ import annotations

import random

from pilotlight.planner.cost.replay import replay
from pilotlight.planner.cost.serving import Scaling, Serving
from pilotlight.planner.cost.usage import Usage
from pilotlight.planner.traces import Arrival, Trace

TOKENS = 1000


def simulated(
    rate: float, serving: Serving, scaling: Scaling, start_s: float, count: int, seed: int
) -> Usage:
    """Poisson arrivals whose lengths are exponential around the mean."""
    draw = random.Random(seed)
    at_s, arrivals = 0.0, []
    for _ in range(count):
        arrivals.append(Arrival(at_s, TOKENS, max(1, round(draw.expovariate(1 / TOKENS)))))
        at_s += draw.expovariate(rate)
    return replay(Trace(tuple(arrivals)), serving, scaling, start_s)


def service(seconds: float, concurrency: int = 1) -> Serving:
    """Where a request's time is all decode, and others in the batch don't slow it."""
    return Serving(
        prefill_s=1e-9,
        decode_s=seconds,
        full_s=seconds,
        concurrency=concurrency,
        capacity_per_s=concurrency / seconds,
    )
