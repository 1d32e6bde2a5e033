"""From what traffic on one way to serve is the cheaper."""

from __future__ import annotations

import pytest

from pilotlight.catalog import load
from pilotlight.catalog.api import ApiPrice
from pilotlight.catalog.platform import rentables
from pilotlight.planner.cost.break_even import Curve, break_even
from pilotlight.planner.cost.price import api_usd_per_month, price
from pilotlight.planner.cost.serving import Scaling
from pilotlight.planner.traffic import steady

from .bills import DATED, WARM
from .simulation import service

CATALOG = load()
THERE = {one.offer.name: one for one in rentables(CATALOG.platforms, CATALOG.offers)}
API = ApiPrice(
    name="a/model",
    provider="a",
    api_model="model",
    input_usd_per_mtok=0.15,
    output_usd_per_mtok=0.60,
    **DATED,
)


def test_an_apis_month_is_its_tokens() -> None:
    traffic = steady(1.0, 1000, 200)
    requests = 730 * 3600
    assert api_usd_per_month(API, traffic) == pytest.approx(requests * (0.15e-3 + 0.12e-3))


def test_a_fixed_cost_is_cheaper_above_its_crossing() -> None:
    found = break_even(Curve.of(lambda scale: 500.0), Curve.by_token(1000.0))
    assert found.cheaper == "above"
    assert found.scale == pytest.approx(0.5)
    back = break_even(Curve.by_token(1000.0), Curve.of(lambda scale: 500.0))
    assert back.cheaper == "below"
    assert back.scale == pytest.approx(0.5)


def test_what_is_cheaper_everywhere_has_no_crossing() -> None:
    cheap, dear = Curve.by_token(1.0), Curve.by_token(2.0)
    assert (break_even(cheap, dear).cheaper, break_even(dear, cheap).cheaper) == ("always", "never")
    assert break_even(cheap, dear).scale is None


def test_with_several_crossings_the_one_nearest_to_the_plan_counts() -> None:
    """A second machine at three times the traffic is dearer again for a while."""
    steps = Curve.of(lambda scale: 90.0 if scale <= 3 else 900.0)
    found = break_even(steps, Curve.by_token(100.0))
    assert found.cheaper == "above"
    assert found.scale == pytest.approx(0.9, rel=0.01)


def test_a_machine_against_an_api_turns_where_their_bills_are_equal() -> None:
    traffic, serving = steady(0.3, 1000, 300), service(6.0, 32)

    def machine(scale: float) -> float:
        found = price(THERE["g6.xlarge"], traffic.scaled(scale), serving, Scaling(), WARM)
        return found.bill.usd_per_month

    api = api_usd_per_month(API, traffic)
    found = break_even(Curve.of(machine), Curve.by_token(api))
    assert found.cheaper == "above"
    assert found.scale is not None
    assert machine(found.scale) == pytest.approx(api * found.scale, rel=0.02)
