"""From traffic and a plan's service to its month: how instances are used, and the bill for it."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.catalog.api import ApiPrice
from pilotlight.catalog.platform import Rentable
from pilotlight.planner.coldstart import ColdStart
from pilotlight.planner.cost.bill import Bill
from pilotlight.planner.cost.replay import replay
from pilotlight.planner.cost.rules import free_items, items
from pilotlight.planner.cost.serving import Scaling, Serving
from pilotlight.planner.cost.usage import Usage, usage
from pilotlight.planner.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Priced:
    bill: Bill
    usage: Usage


def price(
    rentable: Rentable,
    traffic: Traffic,
    serving: Serving,
    scaling: Scaling,
    cold: ColdStart,
    *,
    exact: bool = False,
    free: bool = False,
) -> Priced:
    """A month of it.

    `exact` replays the traffic's trace request by request, in place of random arrivals at its
    means; without a trace there is nothing to replay. `free`: the account's free amounts are all
    there for this.
    """
    if exact and traffic.trace is not None:
        used = replay(traffic.trace, serving, scaling, cold.seconds)
    else:
        used = usage(traffic, serving, scaling, cold.seconds)
    return Priced(_bill(rentable, used, cold, free), used)


def _bill(rentable: Rentable, used: Usage, cold: ColdStart, free: bool) -> Bill:
    lines = items(rentable, used, cold)
    return Bill(
        items=(*lines, *(free_items(rentable, lines) if free else ())),
        requests=used.requests,
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
    )


def api_usd_per_month(api: ApiPrice, traffic: Traffic) -> float:
    """The same traffic at an API that bills by the token."""
    return traffic.requests_per_month * api.usd(traffic.input_tokens, traffic.output_tokens)
