"""Each platform's rule against a bill worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.catalog import load
from pilotlight.catalog.billing import (
    Billing,
    Boost,
    Free,
    InstanceBilling,
    MachineBilling,
    OwnedBilling,
    RequestBilling,
    Standby,
    Tier,
)
from pilotlight.catalog.platform import Rentable, rentables
from pilotlight.planner.coldstart import ColdStart, Phase
from pilotlight.planner.cost.price import price
from pilotlight.planner.cost.rules import free_items, items, rounded_up
from pilotlight.planner.cost.serving import Scaling, Serving, scalings
from pilotlight.planner.cost.usage import Usage
from pilotlight.planner.traffic import MONTH_S, steady

from .bills import WARM, rentable, spans, used
from .simulation import service

CATALOG = load()
THERE = {one.offer.name: one for one in rentables(CATALOG.platforms, CATALOG.offers)}


def usd(there: Rentable, usage: Usage, cold: ColdStart = WARM) -> float:
    return sum(item.usd for item in items(there, usage, cold))


def start(seconds: float) -> ColdStart:
    return ColdStart((Phase("boot", 100, billed=False), Phase("load", seconds)))


def test_lambda_rounds_every_request_up_to_a_millisecond() -> None:
    used_1m = used(requests=1e6, spans=spans((0.0101, 1e6)), busy_s=10_100)
    lines = items(THERE["lambda-x86-6144"], used_1m, WARM)
    assert [(one.label, one.unit) for one in lines] == [
        ("requests", "M requests"),
        ("answering: memory", "GiB-s"),
    ]
    assert sum(one.usd for one in lines) == pytest.approx(0.20 + 1e6 * 0.011 * 6 * 0.0000166667)


def test_lambda_bills_the_start_but_not_the_sandbox() -> None:
    used_cold = used(cold_starts=100)
    bill = usd(THERE["lambda-arm-4096"], used_cold, start(7.5))
    assert bill == pytest.approx(100 * 7.5 * 4 * 0.0000133334)


def test_lambdas_second_tier_is_cheaper() -> None:
    seconds = 1.1e9
    bill = usd(THERE["lambda-x86-6144"], used(spans=spans((1.0, seconds)), busy_s=seconds))
    assert bill == pytest.approx(6e9 * 0.0000166667 + 0.6e9 * 0.000015)


def test_a_month_has_each_tier_once_for_answers_and_starts_together() -> None:
    answering_s, starts = 0.9e9, 2e7
    month = used(spans=spans((1.0, answering_s)), busy_s=answering_s, cold_starts=starts)
    bill = usd(THERE["lambda-x86-6144"], month, start(10.0))
    assert bill == pytest.approx(6e9 * 0.0000166667 + 0.6e9 * 0.000015)


def test_provisioned_concurrency_is_due_all_month_and_answers_cheaper() -> None:
    ready = used(spans=spans((2.0, 1000)), standby_s=MONTH_S, standby_busy_s=2000)
    bill = usd(THERE["lambda-x86-2048"], ready)
    month = math.ceil(MONTH_S / 300) * 300
    assert bill == pytest.approx(2 * (month * 0.0000041667 + 2000 * 0.0000097222))


def test_cloud_run_bills_an_instances_busy_time_once_for_all_its_requests() -> None:
    """100 requests at once on one instance cost no more than one, but for the request itself."""
    one, many = (
        used(requests=count, spans=spans((10.0, count)), busy_s=10.0, busy_spans=1)
        for count in (1, 100)
    )
    there = THERE["cloud-run-request-4x8"]
    assert usd(there, many) - usd(there, one) == pytest.approx(99 * 0.40 / 1e6)
    # Half of the 100 ms are lost at the end of a busy time in the mean.
    assert usd(there, one) == pytest.approx(10.05 * (4 * 0.000024 + 8 * 0.0000025) + 0.4e-6)


def test_the_startup_boost_is_billed_while_starting_and_ten_seconds_on() -> None:
    there = THERE["cloud-run-request-4x8"]
    bill = usd(there, used(cold_starts=1), start(20.0))
    plain = 20 * (4 * 0.000024 + 8 * 0.0000025)
    assert bill == pytest.approx(plain + 4 * 30 * 0.000024), "4 vCPUs more"


def test_a_boost_has_its_bounds() -> None:
    boost = Boost(factor=2, least_vcpus=2, most_vcpus=8, after_s=10)
    assert [boost.vcpus(vcpus) for vcpus in (0.5, 1, 2, 4, 6, 8)] == [2, 2, 4, 8, 8, 8]


def test_kept_instances_have_the_idle_rate_while_idle() -> None:
    ready = used(standby_s=1000, standby_busy_s=400)
    there = THERE["cloud-run-request-2x4"]
    idle, busy = 600 * (2 + 4) * 0.0000025, 400 * (2 * 0.000024 + 4 * 0.0000025)
    assert usd(there, ready) == pytest.approx(idle + busy)


def test_instance_billing_pays_for_idleness_and_at_least_a_minute() -> None:
    there = THERE["cloud-run-instance-2x4"]
    each = 2 * 0.000018 + 4 * 0.000002
    assert usd(there, used(up_s=1000, busy_s=10)) == pytest.approx(1000 * each)
    short = used(up_s=100 * 5, cold_starts=100)
    boost = 100 * 2 * 20 * 0.000018
    assert usd(there, short, start(10.0)) == pytest.approx(100 * 60 * each + boost)


def test_a_gpu_on_cloud_run_costs_about_a_dollar_an_hour_idle_or_busy() -> None:
    hour = usd(THERE["cloud-run-l4-4x16"], used(standby_s=3600))
    assert hour == pytest.approx(1.05, abs=0.01), "4 vCPU, 16 GiB and the L4, all in"


def test_azures_idle_rate_is_for_the_minimum_alone() -> None:
    there = THERE["aca-2x4"]
    kept = used(standby_s=1000, standby_busy_s=100)
    cpu = 2 * (100 * 0.000024 + 900 * 0.000003)
    assert usd(there, kept) == pytest.approx(cpu + 1000 * 4 * 0.000003)
    cooling = used(up_s=1000, busy_s=100)
    assert usd(there, cooling) == pytest.approx(1000 * (2 * 0.000024 + 4 * 0.000003))


def test_a_pods_disk_and_hours() -> None:
    bill = usd(THERE["runpod-4090"], used(standby_s=MONTH_S))
    assert bill == pytest.approx(730 * 0.74 + 100 * 0.10)


def test_a_stopped_machine_keeps_its_disk_and_its_boot_is_billed() -> None:
    there = THERE["g6.xlarge"]
    bill = usd(there, used(up_s=3600, cold_starts=1), ColdStart((Phase("boot", 90),)))
    assert bill == pytest.approx((3600 + 90.5) / 3600 * 0.8048 + 100 * 0.08)


def test_a_machine_of_ones_own_costs_capital_and_power() -> None:
    there = THERE["own-desktop-4090"]
    idle = used(busy_s=0)
    assert usd(there, idle) == pytest.approx(3600 / 36 + 0.080 * 730 * 0.14)
    full = used(standby_busy_s=MONTH_S, work_load=1.0)
    assert usd(there, full) == pytest.approx(3600 / 36 + 0.720 * 730 * 0.14)
    half = used(standby_busy_s=MONTH_S, work_load=0.5)
    watts = 80 + (720 - 80) / 8
    assert usd(there, half) == pytest.approx(3600 / 36 + watts / 1000 * 730 * 0.14)


def test_two_machines_of_ones_own_cost_twice() -> None:
    there = THERE["own-server-epyc"]
    assert usd(there, used(peak_instances=2)) == pytest.approx(2 * usd(there, used()))


def test_free_amounts_come_off_once_and_never_below_zero() -> None:
    there = THERE["lambda-x86-2048"]
    small = items(there, used(requests=1000, spans=spans((1.0, 1000)), busy_s=1000), WARM)
    assert sum(one.usd for one in (*small, *free_items(there, small))) == pytest.approx(0)
    large = items(there, used(requests=3e6, spans=spans((1.0, 3e6)), busy_s=3e6), WARM)
    back = -sum(one.usd for one in free_items(there, large))
    assert back == pytest.approx(0.20 + 400_000 * 0.0000166667)


def test_disk_beyond_what_is_included() -> None:
    lambda_ = THERE["lambda-x86-2048"]
    large = Rentable(lambda_.platform, replace(lambda_.offer, disk_gib=4.5))
    seconds = used(spans=spans((1.0, 100)), busy_s=100)
    assert usd(large, seconds) - usd(lambda_, seconds) == pytest.approx(100 * 4 * 0.0000000309)


@settings(deadline=None)
@given(st.floats(1e-6, 1e4), st.sampled_from([0.001, 0.1, 1.0, 300.0]))
def test_rounding_up_is_up_and_by_less_than_a_step(seconds: float, step: float) -> None:
    rounded = rounded_up(seconds, step)
    assert -1e-6 * step <= rounded - seconds < step
    assert rounded_up(rounded, step) == pytest.approx(rounded)


BILLINGS: list[Billing] = [
    RequestBilling(
        kind="request",
        span="request",
        granularity_s=0.001,
        gib_usd_per_s=1e-5,
        usd_per_million_requests=0.2,
        tiers=(Tier(above_gib_s=1e6, gib_usd_per_s=9e-6),),
        standby=Standby(gib_usd_per_s=4e-6, while_busy=True, busy_gib_usd_per_s=6e-6),
        free=Free(requests=1e5, gib_s=1e4),
    ),
    RequestBilling(
        kind="request",
        span="busy",
        granularity_s=0.1,
        vcpu_usd_per_s=2e-5,
        gib_usd_per_s=2e-6,
        usd_per_million_requests=0.4,
        boost=Boost(factor=2, least_vcpus=2, most_vcpus=8, after_s=10),
        standby=Standby(vcpu_usd_per_s=2e-6, gib_usd_per_s=2e-6),
    ),
    InstanceBilling(
        kind="instance", granularity_s=1, minimum_s=60, vcpu_usd_per_s=2e-5, gib_usd_per_s=2e-6
    ),
]
BY_HOUR = MachineBilling(kind="machine", granularity_s=1, minimum_s=60)
OWN = OwnedBilling(kind="owned", usd_per_kwh=0.14)
SITES = [
    *(rentable(billing) for billing in BILLINGS),
    rentable(BY_HOUR, usd_per_hour=1.0),
    rentable(OWN, capital_usd=3000.0, years=3.0, load_w=500.0),
]
sites = st.sampled_from(SITES)
loads = st.floats(1e-4, 20)
servings = st.builds(
    lambda alone_s, at_once: Serving(
        prefill_s=alone_s / 5,
        decode_s=alone_s * 4 / 5,
        full_s=alone_s * (1 + at_once / 16),
        concurrency=at_once,
        capacity_per_s=0.8 * at_once / (alone_s * (1 + at_once / 16)),
    ),
    st.floats(0.1, 30),
    st.sampled_from([1, 4, 16]),
)


@settings(deadline=None)
@given(sites, loads, servings, st.floats(0, 24), st.floats(1.05, 20))
def test_more_load_never_costs_less(
    there: Rentable, rate: float, serving: Serving, hours: float, factor: float
) -> None:
    """Always on everywhere; to zero where a start costs no more than a few requests.

    Where it costs more, more requests keep an instance warm: that is cheaper, and true.
    """
    traffic = steady(rate, 100, 100, max(1.0, hours))
    more = traffic.scaled(factor)
    for scaling in scalings(there.platform):
        cold = start(min(30.0, serving.alone_s)) if scaling.idle_s else WARM
        less, bigger = (price(there, one, serving, scaling, cold) for one in (traffic, more))
        starts = {"startup boost"} if scaling.idle_s else set()
        assert _without(bigger.bill.parts, starts) >= _without(less.bill.parts, starts) * 0.999


def _without(parts: dict[str, float], labels: set[str]) -> float:
    return sum(usd for label, usd in parts.items() if label not in labels)


@settings(deadline=None)
@given(sites, loads, servings)
def test_a_bill_is_the_sum_of_its_lines_and_no_line_is_below_zero(
    there: Rentable, rate: float, serving: Serving
) -> None:
    traffic = steady(rate, 300, 100, 10)
    for scaling in scalings(there.platform):
        bill = price(there, traffic, serving, scaling, start(10.0)).bill
        assert all(item.usd > 0 for item in bill.items)
        assert bill.usd_per_month == pytest.approx(sum(bill.parts.values()))
        assert bill.usd_per_mtok == pytest.approx(4 * bill.usd_per_total_mtok)
        assert bill.usd_per_request * traffic.requests_per_month == pytest.approx(
            bill.usd_per_month
        )


def test_rare_traffic_scales_to_zero_and_steady_traffic_stays_on() -> None:
    there, serving = THERE["cloud-run-l4-4x16"], service(4.0, 16)
    cold = start(40.0)
    rare, busy = (steady(rate, 200, 200) for rate in (0.0005, 3.0))
    to_zero, always = Scaling(idle_s=600.0), Scaling()
    costs = [
        [price(there, traffic, serving, way, cold).bill.usd_per_month for way in (to_zero, always)]
        for traffic in (rare, busy)
    ]
    assert costs[0][0] < 0.5 * costs[0][1]
    assert costs[1][0] > 0.99 * costs[1][1]


def test_every_offer_of_the_catalog_has_a_price() -> None:
    traffic, serving = steady(0.2, 300, 100), service(3.0)
    for there in THERE.values():
        for scaling in scalings(there.platform):
            bill = price(there, traffic, serving, scaling, start(10.0)).bill
            assert 0.1 < bill.usd_per_month < 1e6, there.offer.name
            assert bill.arithmetic[0].endswith(f"= ${bill.items[0].usd:,.4g}")
