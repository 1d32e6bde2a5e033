"""Traffic by the hour, and the pauses in it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.errors import PlanError
from pilotlight.planner.traffic import Traffic, hourly, steady

HOUR_S = 3600.0


@settings(deadline=None)
@given(st.floats(1e-4, 100), st.floats(0.1, 24))
def test_steady_traffic_has_as_many_requests_as_asked(rate: float, hours: float) -> None:
    month = steady(rate, 100, 50, hours).requests_per_month
    assert month == pytest.approx(rate * hours * HOUR_S * 365 / 12)


def test_office_hours_leave_one_pause_a_day() -> None:
    traffic = steady(0.5, 100, 50, 8)
    assert traffic.pauses() == ((0.5, 0.5, 16 * HOUR_S),)
    assert traffic.active_share == pytest.approx(1 / 3)
    assert steady(0.5, 100, 50).pauses() == ()


def test_pauses_run_over_the_end_of_the_cycle() -> None:
    rates = (0.0, 0.0, 1.0, 0.0, 2.0, *(0.0,) * 19)
    assert hourly(rates, 10, 10).pauses() == ((1.0, 2.0, HOUR_S), (2.0, 1.0, 21 * HOUR_S))


@pytest.mark.parametrize(
    "rates", [(0.0,) * 24, (-1.0, *(1.0,) * 23), (float("nan"),) * 24, (1e9,) * 24]
)
def test_traffic_without_requests_or_below_zero_is_refused(rates: tuple[float, ...]) -> None:
    with pytest.raises(PlanError, match="the traffic has"):
        hourly(rates, 10, 10)


def test_a_day_has_24_hours() -> None:
    with pytest.raises(PlanError, match="23 hourly rates"):
        hourly((1.0,) * 23, 10, 10)


def test_more_of_the_same_traffic_keeps_its_hours() -> None:
    traffic = Traffic(rates_per_s=(1.0, 0.0, 3.0), input_tokens=1, output_tokens=1)
    assert traffic.scaled(2).rates_per_s == (2.0, 0.0, 6.0)
    assert traffic.scaled(2).peak_per_s == 6


@settings(deadline=None)
@given(st.lists(st.floats(0, 50), min_size=24, max_size=24).filter(any))
def test_a_few_rates_stand_for_all_hours(rates: list[float]) -> None:
    slots = hourly(tuple(rates), 10, 10).slots()
    assert len(slots) <= 8
    assert sum(slots.values()) == sum(rate > 0 for rate in rates)
    assert sum(rate * count for rate, count in slots.items()) == pytest.approx(sum(rates))
