"""A stage's numbers in the planner's words, so that a prediction's error is a subtraction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pilotlight.bench.costs import Costs
from pilotlight.bench.figures import Distribution, Estimate
from pilotlight.bench.numbers import Numbers
from pilotlight.bench.record import Record
from pilotlight.bench.slo import Slo
from pilotlight.bench.statistics.distributions import percentile
from pilotlight.metrics import Metrics, Spread

USUAL_TAIL = 0.95

OWN_MACHINE = "own-machine"
"""What `pricing` calls the way of paying for the machine that served."""


def as_metrics(numbers: Numbers, counted: Sequence[Record], slo: Slo | None) -> Metrics:
    """Latencies as median and quartiles, their tail and all rates with the bounds of resampling.

    `counted` are the requests behind the numbers: the service level may ask for any percentile.
    """
    share = slo.share if slo is not None and slo.share < 1 else USUAL_TAIL
    done = [record for record in counted if record.ok]
    return Metrics(
        ttft_ms=_quartiles(numbers.ttft_ms),
        ttft_tail_ms=_tail((record.ttft_ms for record in done), share),
        tpot_ms=_quartiles(numbers.tpot_ms),
        tpot_tail_ms=_tail((record.tpot_ms for record in done), share),
        tail_percentile=share * 100,
        requests_per_s=spread(numbers.requests_per_s),
        output_tokens_per_s=spread(numbers.output_tokens_per_s),
        total_tokens_per_s=spread(numbers.total_tokens_per_s),
    )


def usd_per_mtok(costs: Costs, numbers: Numbers) -> Spread | None:
    """Of this very machine where somebody said what it cost, else of the cheapest offer like it.

    Only tokens that met the service level count, and the bounds are those of the output rate: what
    is paid by the second costs a token the more the slower it comes.
    """
    own = [way for way in costs.ways if way.name == OWN_MACHINE]
    offers = [way for kind in ("platform", "own") for way in costs.ways if way.kind == kind]
    prices = (way.usd_per_output_mtok for way in (*own, *offers))
    price = next((found for found in prices if found), None)
    share = 1.0 if numbers.slo_share is None else numbers.slo_share.value
    rate = spread(numbers.output_tokens_per_s)
    if price is None or rate is None or share <= 0 or rate.low <= 0:
        return None
    each = price / share
    return Spread(each, each * rate.median / rate.high, each * rate.median / rate.low)


def _quartiles(found: Distribution | None) -> Spread | None:
    if found is None or found.box is None:
        return None
    return Spread(found.box.median, found.box.q1, found.box.q3)


def _tail(series: Iterable[float | None], share: float) -> Spread | None:
    return spread(percentile(series, share * 100))


def spread(found: Estimate | None) -> Spread | None:
    """A bound that nobody knows is the value itself: this type has no room for less."""
    if found is None:
        return None
    low = found.value if found.low is None else found.low
    return Spread(found.value, low, found.value if found.high is None else found.high)
