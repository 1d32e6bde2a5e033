"""A trace's own arrivals, request by request."""

from __future__ import annotations

import pytest

from pilotlight.catalog import load
from pilotlight.catalog.platform import rentables
from pilotlight.planner.coldstart import ColdStart, Phase
from pilotlight.planner.cost.price import price
from pilotlight.planner.cost.replay import replay
from pilotlight.planner.cost.serving import Scaling, Serving
from pilotlight.planner.traces import Arrival, Trace
from pilotlight.planner.traffic import MONTH_S, from_trace

from .bills import WARM
from .simulation import service

CATALOG = load()
THERE = {one.offer.name: one for one in rentables(CATALOG.platforms, CATALOG.offers)}


def at(*seconds: float, output_tokens: int = 100) -> Trace:
    return Trace(tuple(Arrival(second, 100, output_tokens) for second in seconds))


def repeats(trace: Trace) -> float:
    return MONTH_S / trace.duration_s


def test_a_request_in_the_idle_time_finds_the_instance() -> None:
    trace = at(0, 100, 1000)
    seen = replay(trace, service(10.0), Scaling(idle_s=300.0), 5.0)
    assert seen.cold_starts / repeats(trace) == pytest.approx(2)
    assert seen.waiting / repeats(trace) == pytest.approx(2)
    # Ready at 5, busy to 15 and from 100 to 110, gone at 410; then 1005 to 1315.
    assert seen.up_s / repeats(trace) == pytest.approx(405 + 310)
    assert seen.busy_s / repeats(trace) == pytest.approx(30)


def test_what_comes_during_a_start_waits_for_it_where_there_is_room() -> None:
    trace = at(0, 1, 2)
    shared = replay(trace, service(10.0, 3), Scaling(idle_s=60.0), 5.0)
    alone = replay(trace, service(10.0), Scaling(idle_s=60.0), 5.0)
    assert shared.cold_starts / repeats(trace) == pytest.approx(1)
    assert shared.busy_spans / repeats(trace) == pytest.approx(1)
    assert alone.cold_starts / repeats(trace) == pytest.approx(3)
    assert shared.waiting == alone.waiting == pytest.approx(shared.requests)


def test_longer_answers_take_longer_and_a_full_batch_slows_them() -> None:
    trace = Trace((Arrival(0, 100, 50), Arrival(50, 100, 150), Arrival(51, 100, 100)))
    serving = Serving(prefill_s=1.0, decode_s=10.0, full_s=22.0, concurrency=2, capacity_per_s=0.05)
    seen = replay(trace, serving, Scaling(minimum=1, idle_s=60.0), 5.0)
    lengths = [span.seconds for span in seen.spans]
    assert lengths == pytest.approx([6.0, 16.0, 22.0])
    assert seen.cold_starts == 0


def test_always_on_instances_make_requests_wait_for_each_other() -> None:
    trace = at(0, 1, 2, output_tokens=100)
    seen = replay(trace, service(10.0), Scaling(minimum=1), 0.0)
    assert seen.standby_busy_s / repeats(trace) == pytest.approx(30)
    assert (seen.cold_starts, seen.peak_instances) == (0, 1)


def test_bursts_cost_more_cold_starts_than_their_mean_says() -> None:
    """Ten at once each hour: random arrivals at that mean would seldom meet."""
    trace = at(*(hour * 3600 + each for hour in range(48) for each in range(10)))
    traffic, serving = from_trace(trace), service(20.0)
    there, cold = THERE["lambda-x86-4096"], ColdStart((Phase("load", 8.0),))
    scaling = Scaling(idle_s=360.0)
    exact, mean = (
        price(there, traffic, serving, scaling, cold, exact=exact) for exact in (True, False)
    )
    assert exact.usage.cold_share == pytest.approx(1.0)
    assert mean.usage.cold_share < 0.7
    assert exact.bill.usd_per_month > mean.bill.usd_per_month
    assert exact.usage.requests == pytest.approx(traffic.requests_per_month)


def test_each_request_of_a_trace_is_rounded_up_by_itself() -> None:
    trace = Trace(tuple(Arrival(second, 100, 100 + second % 2) for second in range(100)))
    there = THERE["lambda-x86-2048"]
    serving = service(0.0100)
    bill = price(there, from_trace(trace), serving, Scaling(idle_s=60.0), WARM, exact=True).bill
    # 100 of 100.5 tokens is 9.95 ms, 101 is 10.05: billed as 10 and 11.
    gib_s = bill.items[1].quantity / (MONTH_S / trace.duration_s)
    assert gib_s == pytest.approx(2 * 50 * (0.010 + 0.011))
