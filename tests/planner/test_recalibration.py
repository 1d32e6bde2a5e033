"""Rates corrected by reports: a device that differs from the defaults is found out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pilotlight.errors import PlanError
from pilotlight.metrics import Metrics
from pilotlight.planner.rates import Rate, Rates
from pilotlight.planner.recalibration import Measured, recalibrated
from pilotlight.planner.requirements import Lengths
from pilotlight.planner.roofline import Setup, Stage
from pilotlight.planner.speed import at_concurrency
from pilotlight.planner.work import work_of

from .published_rows import CONSTANTS, rows
from .speed_setups import model, on_gpu

CHAT = Lengths(input_tokens=1024, output_tokens=128)


def with_rates(setup: Setup, rates: Rates) -> Setup:
    return Setup(setup.work, (Stage(setup.stages[0].device, rates),))


def run(setup: Setup, truth: Setup, concurrency: float) -> Measured:
    """What `truth` measures, beside the rates that predict it."""
    return Measured(
        setup=setup,
        lengths=CHAT,
        concurrency=concurrency,
        metrics=at_concurrency(truth, CHAT, concurrency).metrics,
    )


def test_a_card_with_slower_memory_and_products_is_found_out() -> None:
    setup = on_gpu("llama-3.1-8b", "rtx-4090", quantization="FP8")
    rates = setup.stages[0].rates
    slow = replace(
        rates,
        types={
            name: Rate(rate.read_bytes_s / 1.4, tuple((n, f / 2) for n, f in rate.points))
            for name, rate in rates.types.items()
        },
    )
    truth = with_rates(setup, slow)
    found = recalibrated(rates, [run(setup, truth, c) for c in (1, 4)], "two reports", "2026-11-20")
    other = on_gpu("qwen3-8b", "rtx-4090", quantization="FP8")
    before, after, wanted = (
        at_concurrency(with_rates(other, each), CHAT, 2).metrics for each in (rates, found, slow)
    )
    for figure in ("tpot_ms", "ttft_ms"):
        guessed, corrected, true = (getattr(m, figure).median for m in (before, after, wanted))
        assert abs(corrected / true - 1) < 0.1
        assert abs(guessed / true - 1) > 0.2
    assert found.source == "two reports"
    assert found.error < rates.error


def test_a_published_card_is_predicted_better_after_one_of_its_own_rows() -> None:
    """The RTX 5090, which nothing was fitted to: one closed-loop run corrects the others."""
    tested = [row for row in rows("vllm_accelmark_v1") if row.device.name == "rtx-5090"]
    alone = next(row for row in tested if row.fields["load"] == "alone")
    constants = CONSTANTS["vllm"]
    rates = constants.rates(alone.device)
    planned = model(alone.fields["model"], "BF16", "safetensors")

    setup = Setup(work_of(planned), (Stage(alone.device, rates),))
    lengths = Lengths(input_tokens=alone.fields["input"], output_tokens=alone.fields["output"])
    shown = at_concurrency(setup, lengths, 1).metrics
    assert shown.tpot_ms
    measured = replace(shown.tpot_ms, median=alone.value)
    one = Measured(setup=setup, lengths=lengths, concurrency=1, metrics=Metrics(tpot_ms=measured))
    found = recalibrated(rates, [one], "a row", "2026-05-19")
    closed = [row for row in tested if row.fields["load"] == "closed" and row.fields["input"] < 512]
    assert closed
    for row in closed:
        given = Lengths(input_tokens=row.fields["input"], output_tokens=row.fields["output"])
        before, after = (
            at_concurrency(with_rates(setup, each), given, row.fields["concurrency"]).metrics
            for each in (rates, found)
        )
        assert before.output_tokens_per_s
        assert after.output_tokens_per_s
        assert abs(after.output_tokens_per_s.median / row.value - 1) < abs(
            before.output_tokens_per_s.median / row.value - 1
        )


def test_rates_that_were_right_stay() -> None:
    setup = on_gpu("llama-3.1-8b", "l4")
    rates = setup.stages[0].rates
    found = recalibrated(rates, [run(setup, setup, 4)], "a report", "2026-11-20")
    assert found.types["BF16"].read_bytes_s == pytest.approx(rates.types["BF16"].read_bytes_s)
    assert found.error == 0.05


def test_a_report_without_tpot_is_refused() -> None:
    setup = on_gpu("llama-3.1-8b", "l4")
    empty = Measured(setup=setup, lengths=CHAT, concurrency=1, metrics=Metrics())
    with pytest.raises(PlanError, match="TPOT"):
        recalibrated(setup.stages[0].rates, [empty], "a report", "2026-11-20")
