"""The published comparison of two serverless platforms, both rows, and the slip in one sum."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pilotlight.catalog import load
from pilotlight.catalog.platform import Rentable, rentables
from pilotlight.planner.cost.price import price
from pilotlight.planner.cost.rules import items
from pilotlight.planner.cost.serving import Scaling
from pilotlight.planner.cost.study import ANSWER_TOKENS, CLOUD_RUN, LAMBDA, serverless_study
from pilotlight.planner.traffic import steady

from .bills import WARM, spans, used
from .simulation import service


def test_the_first_row_is_as_printed() -> None:
    assert LAMBDA.usd_per_s == pytest.approx(0.00010002, abs=5e-9)
    assert LAMBDA.usd_per_token == pytest.approx(0.00001348, abs=5e-9)
    assert LAMBDA.usd_per_answer == pytest.approx(0.00674, abs=5e-6)
    assert LAMBDA.slip_usd_per_s == 0
    assert "printed" not in LAMBDA.arithmetic


def test_the_second_row_is_off_in_its_sum_and_right_from_there() -> None:
    assert CLOUD_RUN.usd_per_s == pytest.approx(0.000111)
    assert CLOUD_RUN.slip_usd_per_s == pytest.approx(0.000009)
    # What is printed after the slip follows from it: the division is right.
    printed = CLOUD_RUN.printed_usd_per_s / CLOUD_RUN.total_tokens_per_s
    assert printed == pytest.approx(CLOUD_RUN.printed_usd_per_token, abs=5e-8)
    assert 500 * printed == pytest.approx(CLOUD_RUN.printed_usd_per_answer, abs=5e-6)
    assert CLOUD_RUN.arithmetic == (
        "Cloud Run: 4 vCPU × $0.000024 + 6 GB × $0.00000250 = $0.00011100/s; ÷ 7.39 tokens/s "
        "= $0.00001502 a token, $0.00751 for 500; printed are $0.000102/s, $0.0000138 and "
        "$0.0069: the sum is short by $0.000009/s"
    )


def test_put_right_the_gap_is_eleven_per_cent() -> None:
    one, other = serverless_study()
    assert other.usd_per_token / one.usd_per_token == pytest.approx(1.114, abs=0.001)


def test_the_catalogs_rules_bill_the_same_seconds_alike() -> None:
    """A second of each, by the product's own rules: the study leaves only the request's fee out."""
    catalog = load()
    there = {one.offer.name: one for one in rentables(catalog.platforms, catalog.offers)}
    second = used(spans=spans((1.0, 1)), busy_s=1.0)
    usd = sum(item.usd for item in items(there["lambda-x86-6144"], second, WARM))
    assert usd == pytest.approx(LAMBDA.usd_per_s, rel=3e-4), "the study rounds the rate"
    cloud = there["cloud-run-request-4x8"]
    rate = {item.unit: item.usd_per_unit for item in items(cloud, second, WARM)}
    assert rate["vCPU-s"] == CLOUD_RUN.vcpu_usd_per_s
    assert rate["GiB-s"] == CLOUD_RUN.gib_usd_per_s


def test_a_month_of_the_studys_requests_costs_what_it_says_a_token() -> None:
    """500 tokens in all, one at a time, nothing cold: the product's own price of both rows."""
    catalog = load()
    there = {one.offer.name: one for one in rentables(catalog.platforms, catalog.offers)}
    cloud = there["cloud-run-request-4x8"]
    sites = {
        LAMBDA: there["lambda-x86-6144"],
        CLOUD_RUN: Rentable(cloud.platform, replace(cloud.offer, memory_gib=6)),
    }
    for row, site in sites.items():
        serving = service(ANSWER_TOKENS / row.total_tokens_per_s)
        traffic = steady(0.01, 400, 100)
        bill = price(site, traffic, serving, Scaling(idle_s=math.inf), WARM).bill
        fee = bill.parts["requests"] / bill.requests
        per_token = (bill.usd_per_request - fee) / ANSWER_TOKENS
        assert per_token == pytest.approx(row.usd_per_token, rel=1e-3)
        assert bill.usd_per_total_mtok == pytest.approx(1e6 * (per_token + fee / ANSWER_TOKENS))
