"""Joules between a meter's samples."""

from __future__ import annotations

from pilotlight.meter.ledger.power import Power

from .made import Meter


def test_goes_on_with_the_watts_of_the_last_sample_and_keeps_the_sum() -> None:
    meter = Meter()
    power = Power(meter)
    meter.says(1.0, 100.0)
    assert power.joules(1.0) == 100.0
    meter.says(2.0, 150.0)
    assert power.joules(2.0) == 150.0
    assert power.joules(2.4) == 170.0
    meter.says(3.0, 160.0)  # it drew less than it had
    assert power.joules(3.0) == 170.0  # made good by what comes next, never given back
    meter.says(4.0, 190.0)
    assert power.joules(4.0) == 190.0
    assert power.source == "measured-rapl"


def test_a_meter_that_hangs_charges_for_one_second_more() -> None:
    meter = Meter()
    power = Power(meter)
    meter.says(1.0, 0.0)
    power.joules(1.0)
    meter.says(2.0, 10.0)
    assert power.joules(20.0) == 20.0


def test_a_meter_that_hangs_for_long_is_unknown() -> None:
    meter = Meter()
    power = Power(meter)
    meter.says(2.0, 10.0)
    power.joules(2.0)
    assert (power.joules(60.0), power.source) == (None, None)
    meter.says(61.0, 40.0)
    assert (power.joules(61.0), power.source) == (40.0, "measured-rapl")


def test_unknown_is_none_until_it_is_known_again() -> None:
    meter = Meter(gross_j=None, source=None)
    power = Power(meter)
    assert power.joules(1.0) is None
    assert power.source is None
    meter.says(2.0, 5.0)
    meter.source = "measured-nvml"
    assert power.joules(2.0) == 5.0
    assert power.source == "measured-nvml"
