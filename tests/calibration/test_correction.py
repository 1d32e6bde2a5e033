"""A benchmark of this machine moves the rates until they say what it said."""

from __future__ import annotations

from datetime import date
from typing import cast

import pytest

from pilotlight.calibration.correction import corrected
from pilotlight.calibration.here import device_of
from pilotlight.calibration.kept import Calibration
from pilotlight.engines import base
from pilotlight.errors import CalibrationError
from pilotlight.machine import Machine
from pilotlight.metrics import Metrics, Spread
from pilotlight.planner.cpu_speed import cpu_rates
from pilotlight.planner.model import PlannedModel, from_architecture
from pilotlight.planner.rates import Rates
from pilotlight.planner.reported import Reported
from pilotlight.planner.requirements import Lengths
from pilotlight.planner.speed import at_concurrency, place

from .fake import Engine
from .shapes import like

MACHINE = Machine("cpu", 2, 8 << 30, (), frozenset({"avx2"}))
DEVICE = device_of(MACHINE, Engine.build)
RATES = cpu_rates(DEVICE)
LENGTHS = Lengths(input_tokens=512, output_tokens=64)


def model() -> PlannedModel:
    shape = like(layers=16, hidden=2048, heads=32, kv_heads=8, feed_forward=8192)
    return from_architecture("m", shape, "Q4_K_M")


def predicted(rates: Rates, concurrency: float) -> Metrics:
    setup = place(model(), "llamacpp", [(DEVICE, 1.0)], rates={DEVICE.name: rates})
    return at_concurrency(setup, LENGTHS, concurrency).metrics


def run(concurrency: float, slower: float) -> Reported:
    """A machine that takes `slower` times as long as the defaults say."""
    said = predicted(RATES, concurrency)
    assert said.tpot_ms is not None
    assert said.ttft_ms is not None
    tpot_ms, ttft_ms = said.tpot_ms.median * slower, said.ttft_ms.median * slower
    metrics = Metrics(
        tpot_ms=Spread(tpot_ms, tpot_ms, tpot_ms), ttft_ms=Spread(ttft_ms, ttft_ms, ttft_ms)
    )
    return Reported(tool="pilotlight", metrics=metrics, lengths=LENGTHS, concurrency=concurrency)


@pytest.mark.parametrize("slower", [0.5, 1.0, 3.0])
def test_predictions_meet_the_report(slower: float) -> None:
    moved = by_reports([run(1, slower), run(4, slower)]).rates
    for concurrency in (1, 4):
        reported, now = run(concurrency, slower).metrics, predicted(moved, concurrency)
        assert now.tpot_ms is not None
        assert reported.tpot_ms is not None
        assert now.tpot_ms.median == pytest.approx(reported.tpot_ms.median, rel=0.05)
        assert now.ttft_ms is not None
        assert reported.ttft_ms is not None
        assert now.ttft_ms.median == pytest.approx(reported.ttft_ms.median, rel=0.1)


def test_slow_prompts_leave_answers_as_they_were() -> None:
    """On a processor a few tokens at once have rates of their own."""
    usual = run(1, 1.0).metrics
    assert usual.ttft_ms is not None
    twice_ms = usual.ttft_ms.median * 2
    slow = Metrics(tpot_ms=usual.tpot_ms, ttft_ms=Spread(twice_ms, twice_ms, twice_ms))
    reported = Reported(tool="pilotlight", metrics=slow, lengths=LENGTHS, concurrency=1)
    now = predicted(by_reports([reported]).rates, 1)
    assert now.tpot_ms is not None
    assert usual.tpot_ms is not None
    assert now.tpot_ms.median == pytest.approx(usual.tpot_ms.median, rel=0.01)
    assert now.ttft_ms is not None
    assert now.ttft_ms.median == pytest.approx(twice_ms, rel=0.25)


def test_a_report_without_concurrency_or_lengths_is_refused() -> None:
    bare = Reported(tool="vllm", metrics=run(1, 1.0).metrics)
    with pytest.raises(CalibrationError, match="no run of the report") as caught:
        by_reports([bare])
    assert "fixed concurrency" in str(caught.value.hint)


def test_what_comes_of_it_says_so() -> None:
    found = by_reports([run(1, 2.0)])
    assert found.machine == MACHINE.fingerprint
    assert found.rates.source.endswith("corrected by 1 runs of m")
    assert found.rates.as_of == "2026-11-20"
    assert found.rates.error < RATES.error


def by_reports(reported: list[Reported]) -> Calibration:
    engine = cast("base.Engine", Engine())
    return corrected(MACHINE, engine, None, model(), reported, date(2026, 11, 20))
