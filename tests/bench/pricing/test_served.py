"""What prices need of a stage, from records whose truth is known."""

from __future__ import annotations

import pytest

from pilotlight.bench.joules import energy_of
from pilotlight.bench.served import served
from pilotlight.meter.meter import Meter

from .made import drawn, record, run, window


def test_means_are_those_of_what_ended_in_the_window() -> None:
    records = [
        record(0, sent_s=0, first_s=1, ended_s=2, tokens=(10, 20)),  # before the window
        record(1, sent_s=4, first_s=5, ended_s=8, tokens=(100, 40)),
        record(2, sent_s=8, first_s=9, ended_s=10, tokens=(300, 80)),
        record(3, sent_s=9, first_s=None, ended_s=12, error="timeout"),
        record(4, sent_s=14, first_s=15, ended_s=30, tokens=(999, 999)),  # after it
    ]
    found = served([run(*records)], [window(4, 20)])
    assert found is not None
    assert (found.seconds, found.requests, found.requests_per_s) == (16, 2, 0.125)
    assert (found.input_tokens, found.output_tokens, found.total_tokens) == (200, 60, 260)
    assert (found.ttft_s, found.request_s) == (1, 3)
    assert found.at_once == pytest.approx((4 + 2 + 3 + 6) / 16)
    assert (found.busy_share, found.busy_spans) == (14 / 16, 2)


def test_runs_are_put_together() -> None:
    each = run(record(0, sent_s=0, first_s=1, ended_s=4, tokens=(10, 10)))
    found = served([each, each], [window(0, 8), window(0, 8)], watts=50)
    assert found is not None
    assert (found.seconds, found.requests, found.busy_share) == (16, 2, 0.5)
    assert found.watts == 50


def test_nothing_answered_is_nothing_to_price() -> None:
    failed = run(record(0, sent_s=0, first_s=None, ended_s=4, error="refused"))
    assert served([failed], [window(0, 8)]) is None
    assert served([failed], [window(0, 0)]) is None


def test_tokens_that_nobody_counted_stay_unknown() -> None:
    found = served([run(record(0, sent_s=0, first_s=1, ended_s=4))], [window(0, 8)])
    assert found is not None
    assert (found.input_tokens, found.output_tokens, found.total_tokens) == (None, None, None)


def test_energy_is_of_each_runs_window_on_the_meters_clock() -> None:
    """Two runs, at 1,000 s and 1,100 s of the meter's clock; 50 W in them, 500 W between."""
    source, clock = drawn(at_s=1000.0)
    meter = Meter([source], clock=clock)
    meter.mark()
    for until_s, watts in ((1050.0, 50.0), (1100.0, 500.0), (1150.0, 50.0)):
        source.joules = (source.joules or 0) + watts * (until_s - clock.now_s)
        clock.now_s = until_s
        meter.mark()
    answered = record(0, sent_s=0, first_s=0, ended_s=50, tokens=(0, 500))
    runs = [run(answered, started_s=1000.0), run(answered, started_s=1100.0)]
    found = energy_of(runs, [window(0, 50), window(0, 50)], meter.series())
    assert found is not None
    assert (found.gross_j, found.output_tokens, found.windows) == (5000, 1000, 10)
    assert found.joules_per_output_token is not None
    assert found.joules_per_output_token.median == pytest.approx(5.0)
    assert energy_of(runs, [window(0, 0), window(0, 0)], meter.series()) is None
