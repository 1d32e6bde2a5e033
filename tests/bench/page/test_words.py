"""Names side by side, what a plan said against what came, and text for a terminal and a forge."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pilotlight.bench import report as bench_report
from pilotlight.bench.load import Load
from pilotlight.bench.markdown import markdown
from pilotlight.bench.slo import Slo
from pilotlight.bench.summary import summary
from pilotlight.bench.told import slo_words
from pilotlight.bench.words.figure_rows import load_words
from pilotlight.bench.words.labels import labelled
from pilotlight.bench.words.predicted import deviations
from pilotlight.metrics import Metrics, Spread

from . import samples

BASE = replace(samples.sweep(), predicted=None)


def named(*subjects: bench_report.Tested) -> list[str]:
    return [each.name for each in labelled([replace(BASE, subject=each) for each in subjects])]


def test_names_say_only_what_tells_them_apart() -> None:
    one = bench_report.Tested(name="smollm2", engine="llamacpp", quantization="Q4_1")
    assert named(one, replace(one, name="qwen")) == ["smollm2", "qwen"]
    assert named(one, replace(one, quantization="Q8_0")) == ["smollm2, Q4_1", "smollm2, Q8_0"]
    assert named(one, replace(one, engine="vllm")) == ["smollm2, llamacpp", "smollm2, vllm"]
    assert named(one, one) == ["smollm2, #1", "smollm2, #2"]


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (Load(kind="closed", concurrency=8), "8 at once"),
        (Load(kind="poisson", requests_per_s=4.0), "poisson, 4 requests/s"),
        (Load(kind="gamma", requests_per_s=4.0, burstiness=3.0),
         "gamma, 4 requests/s, burstiness 3"),
        (Load(kind="ramp", requests_per_s=0.0, to_requests_per_s=9.0), "ramp, 0 to 9 requests/s"),
        (Load(kind="replay", speed=2.0), "replay at 2×"),
        (None, "as its file says"),
    ],
)  # fmt: skip
def test_a_load_in_words(load: Load | None, words: str) -> None:
    assert load_words(load) == words


@pytest.mark.parametrize(
    ("said", "found", "verdict"),
    [
        (Spread(100, 80, 120), Spread(110, 105, 115), "within the prediction"),
        (Spread(100, 80, 120), Spread(130, 118, 140), "the intervals overlap"),
        (Spread(100, 80, 120), Spread(200, 190, 210), "above what was predicted"),
        (Spread(100, 80, 120), Spread(50, 40, 60), "below what was predicted"),
    ],
)
def test_a_prediction_is_judged_by_its_interval(said: Spread, found: Spread, verdict: str) -> None:
    predicted = bench_report.Predicted(plan="a plan", metrics=Metrics(tpot_ms=said))
    stage = replace(BASE.stage, metrics=Metrics(tpot_ms=found, ttft_ms=found))
    (deviation,) = deviations(replace(BASE, stages=(stage,), chosen=0, predicted=predicted))
    assert (deviation.name, deviation.verdict) == ("TPOT, ms", verdict)
    assert deviation.ratio.value == found.median / 100


def test_tails_of_other_percentiles_arent_compared() -> None:
    tail = Spread(100, 90, 110)
    stage = replace(BASE.stage, metrics=Metrics(tpot_tail_ms=tail, tail_percentile=95))
    predicted = bench_report.Predicted(
        plan="a plan", metrics=Metrics(tpot_tail_ms=tail, tail_percentile=99)
    )
    assert deviations(replace(BASE, stages=(stage,), chosen=0, predicted=predicted)) == ()


def test_markdown_keeps_a_name_in_its_cell() -> None:
    hostile = replace(BASE, subject=bench_report.Tested(name="a|b\n<script>"))
    text = markdown([hostile, BASE])
    assert "| a\\|b &lt;script> |" in text
    assert "<script>" not in text


def test_a_terminal_gets_no_control_characters() -> None:
    hostile = replace(BASE, subject=bench_report.Tested(name="a\x1b[31m\x9bb"), notes=("\x07",))
    assert not set(summary([hostile, BASE])) & {"\x1b", "\x9b", "\x07"}


def test_several_runs_without_a_difference_say_so_on_the_terminal() -> None:
    text = summary([BASE, replace(BASE, subject=replace(BASE.subject, name="its twin"))])
    assert "its twin against smollm2 Q4_1" in text
    assert "no difference" in text
    assert "worse" not in text


def test_a_service_level_in_words() -> None:
    assert slo_words(Slo(name="chat", ttft_ms=200, share=0.99)) == (
        "chat: TTFT ≤ 200 ms for 99 % of requests"
    )
    assert slo_words(Slo(name="batch", share=0.5)) == "batch: answered at all for 50 % of requests"
