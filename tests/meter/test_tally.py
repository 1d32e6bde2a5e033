"""Readings to joules, through wraps, resets and gaps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.meter.source import Device, Method, Reading
from pilotlight.meter.tally import Point, Tally

RANGE = 1_000_000


def device(method: Method = "counter", **others: object) -> Device:
    known = {"counts_per_j": 1000.0, "wraps_at": RANGE, "most_w": 100.0, **others}
    return Device(
        name="d", kind="cpu", title="a device", source="measured-rapl", method=method, **known
    )


def added(device: Device, *readings: tuple[float, Reading]) -> Point:
    tally = Tally(device)
    for at_s, reading in readings:
        tally.add(at_s, reading)
    assert tally.last is not None
    return tally.last


def count(at_s: float, value: int | None, watts: float | None = None) -> tuple[float, Reading]:
    return at_s, Reading(count=value, watts=watts)


def watts(at_s: float, value: float | None) -> tuple[float, Reading]:
    return at_s, Reading(watts=value)


def test_a_counter_counts_from_its_first_reading() -> None:
    point = added(device(), count(10, 5_000), count(11, 5_500), count(12, 65_500))
    assert (point.joules, point.unknown_s, point.resets) == (60.5, 0, 0)


def test_a_counter_that_wraps_goes_on() -> None:
    point = added(device(), count(0, RANGE - 20_000), count(1, 30_000))
    assert (point.joules, point.resets) == (50.0, 0)


def test_a_fall_too_large_for_a_wrap_is_a_reset() -> None:
    """800 J in a second of a device of 100 W: nobody knows what it drew."""
    point = added(device(), count(0, 200_000), count(1, 0), count(2, 10_000))
    assert (point.joules, point.unknown_s, point.resets) == (10.0, 1.0, 1)


def test_watts_close_the_gap_of_a_reset() -> None:
    point = added(device(), count(0, 200_000, 40), count(1, 0, 60), count(2, 10_000, 10))
    assert (point.joules, point.unknown_s, point.resets) == (60.0, 0.0, 1)


def test_a_counter_without_a_known_range_is_reset_by_any_fall() -> None:
    point = added(device(wraps_at=None, most_w=None), count(0, 9_000), count(1, 1_000))
    assert (point.joules, point.unknown_s, point.resets) == (0.0, 1.0, 1)


def test_in_a_time_for_two_wraps_nobody_can_count_them() -> None:
    """1,000 J are the whole range: ten seconds at 100 W."""
    point = added(device(), count(0, 0), count(30, 500_000))
    assert (point.joules, point.unknown_s) == (0.0, 30.0)


def test_the_next_reading_of_a_counter_closes_the_gap_of_a_failed_one() -> None:
    point = added(device(), count(0, 0), count(1, None), count(3, 90_000))
    assert (point.joules, point.unknown_s) == (90.0, 0.0)


def test_watts_are_integrated_by_trapezoids() -> None:
    point = added(device("power"), watts(0, 10), watts(1, 20), watts(3, 40))
    assert point.joules == 15 + 60


def test_watts_say_nothing_of_a_long_gap() -> None:
    point = added(device("power"), watts(0, 10), watts(1, 10), watts(100, 10), watts(101, 30))
    assert (point.joules, point.unknown_s) == (10 + 20, 99.0)


def test_a_ratings_watts_are_means_of_the_time_before() -> None:
    point = added(device("rating"), watts(0, 999), watts(2, 10), watts(100, 20))
    assert point.joules == 20 + 98 * 20


def test_without_a_figure_there_is_no_point() -> None:
    tally = Tally(device())
    assert tally.add(0, Reading(temperature_c=40.0)) is None
    assert tally.last is None


@given(
    st.lists(st.floats(0.0, 90.0), min_size=1, max_size=50),
    st.integers(0, RANGE - 1),
)
def test_every_way_around_the_range_adds_up(drawn_w: list[float], start: int) -> None:
    """Whatever is drawn below the most, and wherever the counter stood, no joule is lost."""
    tally, truth = Tally(device()), start
    tally.add(0.0, Reading(count=start))
    for at, power in enumerate(drawn_w, 1):
        truth += round(power * 1000)
        point = tally.add(float(at), Reading(count=truth % RANGE))
    assert point is not None
    assert point.joules == pytest.approx((truth - start) / 1000)
    assert point.resets == 0
