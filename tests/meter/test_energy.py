"""A span's energy: known draws and known tokens, and the figures that must come of them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.meter.energy import Energy
from pilotlight.meter.idle import Idle, idle
from pilotlight.meter.measuring import energy
from pilotlight.meter.meter import Meter
from pilotlight.meter.series import Series
from pilotlight.meter.windows import Answer, Cut
from pilotlight.metrics import Spread

from .made import Clock, Drawn


def metered(watts: list[float | None], source: Drawn | None = None, at_s: float = 0.0) -> Series:
    """A second at each of `watts`; in those of None the device says nothing."""
    source, clock = source or Drawn(), Clock(at_s)
    meter, joules = Meter([source], clock=clock, notes=("noted",)), 0.0
    meter.mark()
    for power in watts:
        clock.now_s += 1
        joules += power or 0.0
        source.joules = None if power is None else joules
        meter.mark()
    return meter.series()


def answer(begin_s: float, last_s: float, output: float, prompt: float = 0.0) -> Answer:
    return Answer(
        begin_s=begin_s,
        first_s=begin_s,
        last_s=last_s,
        input_tokens=prompt,
        output_tokens=output,
    )


def steady(seconds: int, per_s: float) -> list[Answer]:
    return [answer(at, at + 1, per_s) for at in range(seconds)]


def test_joules_a_token_are_watts_over_tokens_a_second() -> None:
    found = energy(metered([60.0] * 60), [(0, 60)], steady(60, 20))
    assert found.gross_j == 3600
    assert (found.output_tokens, found.requests) == (1200, 60)
    assert found.joules_per_output_token == Spread(3, 3, 3)
    assert found.wh_per_output_token is not None
    assert found.wh_per_output_token.median == pytest.approx(3 / 3600)
    assert (found.windows, found.window_s, found.enough_windows) == (6, 10, True)
    assert found.source == "measured-rapl"
    assert found.mean_w == 60
    assert found.gross_kwh == pytest.approx(0.001)
    assert found.joules_per_request == 60


def test_the_baseline_comes_off_by_its_watts() -> None:
    series = metered([10.0] * 20 + [60.0] * 60)
    baseline = idle(series, 0, 20, "20 s before")
    assert baseline == Idle({"package-0": 10.0}, 20, "20 s before")
    found = energy(series, [(20, 80)], [answer(20, 80, 1000)], baseline)
    assert (found.gross_j, found.net_j) == (3600, 3000)
    assert found.net_joules_per_output_token is not None
    assert found.net_joules_per_output_token.median == pytest.approx(3.0)
    assert found.idle == "20 s before"
    (device,) = found.devices
    assert (device.idle_w, device.net_j, device.mean_w) == (10, 3000, 60)


def test_a_baseline_is_the_rate_of_the_time_that_is_known() -> None:
    series = metered([10.0] * 6)
    assert idle(series, 0, 8, "").watts == {"package-0": pytest.approx(10.0)}
    assert idle(series, 0, 13, "").watts == {}, "most of it isn't"


def test_a_baseline_of_a_busy_machine_is_told() -> None:
    series = metered([59.0] * 10 + [60.0] * 50)
    busy = energy(series, [(10, 60)], [answer(10, 60, 1)], idle(series, 0, 10, "before"))
    assert any("the machine wasn't at rest" in note for note in busy.notes)
    series = metered([20.0] * 10 + [60.0] * 50)
    quiet = energy(series, [(10, 60)], [answer(10, 60, 1)], idle(series, 0, 10, "before"))
    assert quiet.notes == ("noted",)


def test_without_a_baseline_net_is_unknown() -> None:
    found = energy(metered([60.0] * 60), [(0, 60)], steady(60, 20))
    assert (found.net_j, found.net_joules_per_output_token, found.idle) == (None, None, None)


def test_quartiles_are_over_windows() -> None:
    """Windows of 10 s at 10, 20, 30, 40 and 50 W, 10 tokens/s: 1 to 5 J a token."""
    watts = [10.0 * (1 + at // 10) for at in range(50)]
    found = energy(metered(watts), [(0, 50)], steady(50, 10))
    assert found.joules_per_output_token is not None
    assert vars_of(found.joules_per_output_token) == pytest.approx((3, 2, 4))
    assert found.outliers == 0
    assert found.mean_joules_per_output_token == pytest.approx(3)
    assert found.sd_joules_per_output_token == pytest.approx(1.5811388)


def vars_of(spread: Spread) -> tuple[float, float, float]:
    return spread.median, spread.low, spread.high


def test_an_outlier_takes_the_mean_away() -> None:
    watts = [20.0] * 80 + [200.0] * 10 + [21.0] * 10
    found = energy(metered(watts), [(0, 100)], steady(100, 10))
    assert found.outliers >= 1
    assert found.mean_joules_per_output_token is None
    assert found.sd_joules_per_output_token is None
    assert found.joules_per_output_token is not None
    assert found.joules_per_output_token.median == pytest.approx(2.0)


def test_a_window_without_tokens_leaves_its_joules_to_the_next() -> None:
    """A long prompt gives no token for 20 s: its joules belong to the answer after it."""
    found = energy(metered([50.0] * 50), [(0, 50)], [answer(20, 50, 300)])
    assert found.joules_per_output_token is not None
    high = 50 * 30 / 100
    assert found.joules_per_output_token.high == pytest.approx((high + 5) / 2)
    assert found.whole_joules_per_output_token == pytest.approx(2500 / 300)


def test_tokens_are_spread_over_the_time_that_they_came_in() -> None:
    """Half of the answer lies outside the span, and so does half of its prompt."""
    one = Answer(begin_s=-10, first_s=10, last_s=70, input_tokens=100, output_tokens=60)
    found = energy(metered([1.0] * 40), [(0, 40)], [one])
    assert found.output_tokens == pytest.approx(30)
    assert found.total_tokens == pytest.approx(30 + 50)
    assert found.requests == 0


def test_runs_are_put_together_without_what_was_between_them() -> None:
    series = metered([40.0] * 30 + [900.0] * 5 + [40.0] * 30)
    answers = [answer(0, 30, 300), answer(35, 65, 300)]
    found = energy(series, [(0, 30), (35, 65)], answers)
    assert (found.seconds, found.gross_j, found.windows) == (60, 2400, 6)
    assert found.joules_per_output_token == Spread(4, 4, 4)


def test_a_short_run_says_that_its_quartiles_say_little() -> None:
    found = energy(metered([30.0] * 8), [(0, 8)], [answer(0, 8, 80)])
    assert (found.windows, found.enough_windows) == (1, False)
    assert found.joules_per_output_token == Spread(3, 3, 3)
    assert any("run for 50 s or longer" in note for note in found.notes)
    assert found.mean_joules_per_output_token is None


def test_a_device_that_says_nothing_for_long_leaves_the_total_unknown() -> None:
    series = metered([30.0] * 30 + [None] * 20)
    found = energy(series, [(0, 50)], steady(50, 10))
    known = (found.gross_j, found.source, found.watts, found.joules_per_output_token)
    assert known == (None, None, None, None), "and half a figure isn't one"
    (device,) = found.devices
    assert (device.gross_j, device.unknown_s) == (None, 20)
    assert any("package-0 gave no figure for 20 s" in note for note in found.notes)


def test_nothing_metered_is_unknown_and_not_zero() -> None:
    found = energy(Series((), {}, ("no meter",)), [(0, 60)], steady(60, 20))
    assert found.output_tokens == 1200
    known = (found.gross_j, found.source, found.watts, found.joules_per_output_token)
    assert known == (None, None, None, None)
    assert found.notes == ("no meter",)


def test_temperatures_are_kept_with_their_least_and_most() -> None:
    source, clock = Drawn(), Clock()
    meter = Meter([source], clock=clock)
    for at, celsius in enumerate((40.0, 55.0, 70.0)):
        clock.now_s, source.temperature_c = float(at), celsius
        meter.mark()
    (device,) = energy(meter.series(), [(0, 2)], []).devices
    assert device.temperature_c == Spread(55, 40, 70)


def test_it_goes_through_json() -> None:
    found = energy(metered([60.0] * 60), [(0, 60)], steady(60, 20))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Energy) == found


milliseconds = st.integers(-20_000, 120_000)


@given(st.lists(st.tuples(milliseconds, st.integers(0, 50_000), st.floats(0, 1000)), max_size=20))
def test_no_token_within_the_span_is_lost_or_counted_twice(
    lots: list[tuple[int, int, float]],
) -> None:
    cut = Cut.of(0.0, 95.0)
    assert cut.count == 9
    spans = [(begin / 1000, (begin + took) / 1000, amount) for begin, took, amount in lots]
    whole = sum(amount * _inside(begin_s, end_s) for begin_s, end_s, amount in spans)
    assert sum(cut.spread(spans)) == pytest.approx(whole, abs=1e-6)


def _inside(begin_s: float, end_s: float) -> float:
    if end_s == begin_s:
        return 1.0 if 0 <= begin_s < 95 else 0.0
    return max(0.0, min(end_s, 95.0) - max(begin_s, 0.0)) / (end_s - begin_s)
