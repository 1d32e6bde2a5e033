"""Other tools' JSON, with their names for things, in ours."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pilotlight.errors import PlanError
from pilotlight.metrics import Metrics, Spread
from pilotlight.planner.reported import read
from pilotlight.planner.requirements import Lengths

VLLM: dict[str, Any] = {
    "backend": "openai-chat", "completed": 100, "total_input_tokens": 23_300,
    "total_output_tokens": 22_100, "max_concurrency": 4, "request_throughput": 2.25,
    "output_throughput": 496.88, "total_token_throughput": 1020.76, "mean_ttft_ms": 64.0,
    "median_ttft_ms": 60.26, "mean_tpot_ms": 7.38, "median_tpot_ms": 7.4, "median_e2el_ms": 1690.0,
}  # fmt: skip


@pytest.mark.parametrize("nothing", [0.0, float("nan"), float("inf")])
def test_what_a_tool_could_not_measure_is_unknown(nothing: float) -> None:
    """vLLM writes 0 for the TPOT of answers of one token; Python's JSON knows NaN."""
    (found,) = read({**VLLM, "median_tpot_ms": nothing, "mean_tpot_ms": nothing})
    assert found.metrics.tpot_ms is None
    assert found.metrics.ttft_ms is not None


def guidellm(**metrics: dict[str, float]) -> dict[str, Any]:
    """One benchmark; every figure has finished and failed requests apart."""
    figures = {
        name: {"successful": value, "errored": {"mean": 0}} for name, value in metrics.items()
    }
    return {"benchmarks": [{"metrics": figures}]}


def test_vllm() -> None:
    (found,) = read(VLLM)
    assert found.tool == "vllm"
    assert found.metrics.tpot_ms == Spread(7.4, 7.4, 7.4)
    assert found.metrics.ttft_ms == Spread(60.26, 60.26, 60.26)
    assert found.metrics.total_tokens_per_s == Spread(1020.76, 1020.76, 1020.76)
    assert found.lengths == Lengths(input_tokens=233, output_tokens=221)
    assert found.concurrency == 4
    assert found.request_ms == 1690


def test_a_bound_on_an_open_loop_is_not_what_was_in_flight() -> None:
    """2.25 requests a second of 64 + 7.38 x 220 ms each are 3.8 at once, of 256 that might be."""
    (found,) = read({**VLLM, "request_rate": 2.25, "max_concurrency": 256})
    assert found.concurrency == pytest.approx(2.25 * (64 + 7.38 * 220) / 1000)
    (found,) = read({**VLLM, "request_rate": 2.25, "mean_ttft_ms": None})
    assert found.concurrency is None, "unknown without the time of a request"
    (found,) = read(
        {
            "time_to_first_token": {"avg": 60.0},
            "inter_token_latency": {"avg": 4.0},
            "request_throughput": {"avg": 5.0},
            "request_latency": {"avg": 400.0},
            "input_config": {"loadgen": {"request_rate": 5.0, "concurrency": 100}},
        }
    )
    assert found.concurrency == pytest.approx(2.0)


def test_guidellms_time_per_output_token_is_not_tpot() -> None:
    """It has the first token in it: 11.62 where the others' definition gives 6.77."""
    (found,) = read(
        guidellm(
            time_to_first_token_ms={"median": 48.7},
            time_per_output_token_ms={"median": 11.62},
            inter_token_latency_ms={"median": 6.77},
            output_tokens_per_second={"mean": 120.0},
            request_latency={"median": 0.4},
            prompt_token_count={"mean": 256.0},
            output_token_count={"mean": 51.4},
            request_concurrency={"mean": 1.0},
        )
    )
    assert found.tool == "guidellm"
    assert found.metrics.tpot_ms == Spread(6.77, 6.77, 6.77)
    assert found.lengths == Lengths(input_tokens=256, output_tokens=51)
    assert found.request_ms == 400


def test_a_sweep_of_guidellm_is_several_runs() -> None:
    document = guidellm(inter_token_latency_ms={"median": 5.0})
    document["benchmarks"] *= 3
    assert len(read(document)) == 3


def test_aiperf() -> None:
    (found,) = read(
        {
            "time_to_first_token": {"unit": "ms", "avg": 61.91, "p50": 44.21},
            "inter_token_latency": {"unit": "ms", "avg": 4.15, "p50": 4.15},
            "output_token_throughput": {"unit": "tokens/sec", "avg": 728.55},
            "output_token_throughput_per_user": {"unit": "tokens/sec/user", "avg": 240.98},
            "request_latency": {"unit": "ms", "p50": 556.3},
            "input_sequence_length": {"avg": 550.0},
            "output_sequence_length": {"avg": 128.0},
            "input_config": {"loadgen": {"concurrency": 3}},
        }
    )
    assert found.tool == "aiperf"
    assert found.metrics.tpot_ms == Spread(4.15, 4.15, 4.15)
    assert found.metrics.output_tokens_per_s == Spread(728.55, 728.55, 728.55)
    assert found.metrics.total_tokens_per_s is None
    assert found.concurrency == 3


def test_inference_perf_counts_in_seconds() -> None:
    (found,) = read(
        {
            "successes": {
                "latency": {
                    "time_to_first_token": {"mean": 0.12, "median": 0.1},
                    "time_per_output_token": {"mean": 0.031, "median": 0.03},
                    "normalized_time_per_output_token": {"mean": 0.04},
                    "request_latency": {"median": 4.0},
                },
                "throughput": {"output_tokens_per_sec": 900.0, "requests_per_sec": 7.0},
                "prompt_len": {"mean": 500.0},
                "output_len": {"mean": 130.0},
            }
        }
    )
    assert found.tool == "inference-perf"
    assert found.metrics.tpot_ms is not None
    assert found.metrics.tpot_ms.median == pytest.approx(30)
    assert found.request_ms == 4000


def test_our_own() -> None:
    metrics = Metrics(tpot_ms=Spread(7.0, 6.5, 7.5), energy_source="measured-nvml")
    document = {
        "metrics": msgspec.to_builtins(metrics),
        "lengths": {"input_tokens": 100, "output_tokens": 50},
        "concurrency": 4,
    }
    (found,) = read(document)
    assert found.tool == "pilotlight"
    assert found.metrics == metrics
    assert found.lengths == Lengths(input_tokens=100, output_tokens=50)


def test_our_own_with_a_figure_of_another_kind_says_which() -> None:
    with pytest.raises(PlanError, match="tpot_ms"):
        read({"metrics": {"tpot_ms": "fast"}})


def test_what_no_tool_writes_is_refused_by_its_fields() -> None:
    with pytest.raises(PlanError, match="colour, speed") as caught:
        read({"speed": 3, "colour": "red"})
    assert "GuideLLM" in (caught.value.hint or "")
