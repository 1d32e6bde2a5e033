"""Other tools' files in our terms; names that mean something else there."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from pilotlight.bench.figures import Distribution, Estimate
from pilotlight.bench.files import decode
from pilotlight.bench.load import Load
from pilotlight.bench.report import Report
from pilotlight.errors import BenchError
from pilotlight.metrics import Spread

FILES = Path(__file__).parent / "files"

VLLM: dict[str, Any] = {
    "backend": "openai-chat", "model_id": "some/model", "num_prompts": 100, "request_rate": "inf",
    "burstiness": 1.0, "max_concurrency": 4, "duration": 44.5, "completed": 98, "failed": 2,
    "total_input_tokens": 9800, "total_output_tokens": 1568, "request_throughput": 2.2,
    "output_throughput": 35.2, "total_token_throughput": 255.4, "request_goodput": None,
    "mean_ttft_ms": 64.0, "median_ttft_ms": 60.2, "std_ttft_ms": 9.0, "p99_ttft_ms": 99.0,
    "mean_tpot_ms": 7.4, "median_tpot_ms": 7.4, "p99_tpot_ms": 9.0,
    "mean_itl_ms": 14.8, "median_itl_ms": 14.8, "p99_itl_ms": 20.0,
    "mean_e2el_ms": 1700.0, "median_e2el_ms": 1690.0, "p90_e2el_ms": 1800.0,
}  # fmt: skip

AIPERF: dict[str, Any] = {
    "request_throughput": {"unit": "requests/sec", "avg": 13.16},
    "request_latency": {"unit": "ms", "avg": 6550.4, "p50": 5799.9, "p90": 8594.2, "p99": 9381.6},
    "time_to_first_token": {"unit": "ms", "avg": 1588.8, "p50": 787.5, "p95": 4051.4},
    "inter_token_latency": {"unit": "ms", "avg": 51.76, "p50": 51.98, "p99": 55.87},
    "output_token_throughput": {"unit": "tokens/sec", "avg": 1274.6},
    "output_sequence_length": {"unit": "tokens", "avg": 96.85, "p50": 97.0},
    "input_sequence_length": {"unit": "tokens", "avg": 550.0},
    "benchmark_duration": {"unit": "sec", "avg": 15.2},
    "request_count": {"unit": "requests", "avg": 200.0},
    "start_time": "2025-10-17T20:22:08.939332",
    "error_summary": [
        {"error_details": {"code": 499, "type": "RequestCancellationError"}, "count": 81},
        {"error_details": {"code": 500, "type": "InternalServerError"}, "count": 3},
    ],
    "goodput": None,
    "input_config": {
        "endpoint": {"model_names": ["some/model"], "url": "localhost:9000"},
        "loadgen": {"concurrency": 100, "request_rate_mode": "concurrency_burst"},
    },
}  # fmt: skip

INFERENCE_PERF: dict[str, Any] = {
    "benchmark_time_seconds": 60.0,
    "load_summary": {"count": 320, "requested_rate": 5.0, "achieved_rate": 4.98},
    "successes": {
        "count": 300,
        "latency": {
            "request_latency": {"mean": 4.1, "median": 4.0, "p90": 5.0},
            "time_to_first_token": {"mean": 0.12, "median": 0.1, "p99": 0.4},
            "time_per_output_token": {"mean": 0.031, "median": 0.03},
            "normalized_time_per_output_token": {"mean": 0.04, "median": 0.04},
            "inter_token_latency": {"mean": 0.03, "median": 0.0},
        },
        "throughput": {
            "output_tokens_per_sec": 650.0, "requests_per_sec": 5.0, "total_tokens_per_sec": 3150.0,
        },
        "prompt_len": {"mean": 500.0, "median": 500.0},
        "output_len": {"mean": 130.0},
    },
    "failures": {"count": 20},
}  # fmt: skip


def shown(document: dict[str, Any]) -> Report:
    (report,) = decode(json.dumps(document).encode(), "theirs.json")
    return report


def guidellm() -> dict[str, Any]:
    """As GuideLLM 0.8.1 wrote it, without what isn't read; three of its 100 requests are kept."""
    found: dict[str, Any] = json.loads((FILES / "guidellm-0.8.1.json").read_text())
    return found


def at(found: Distribution | None, percentile: float) -> float:
    assert found is not None
    estimate = found.at(percentile)
    assert estimate is not None
    return estimate.value


def test_vllm() -> None:
    report = shown(VLLM)
    numbers = report.stage.numbers
    assert report.tool == "vllm"
    assert report.subject.model == "some/model"
    assert (numbers.requests, numbers.completed, numbers.errors) == (100, 98, {"failed": 2})
    assert report.stage.load == Load(kind="closed", concurrency=4, requests=100)
    assert at(numbers.ttft_ms, 50) == 60.2
    assert at(numbers.ttft_ms, 99) == 99.0
    assert numbers.ttft_ms is not None
    assert numbers.ttft_ms.p95 is None
    assert numbers.output_tokens_per_s == Estimate(35.2)
    assert numbers.goodput_per_s is None
    assert any("however many tokens each had" in note for note in report.stage.notes)


def test_vllms_burstiness_is_ours_upside_down() -> None:
    """There it is the gamma's shape: 0.5 is burstier than Poisson, with a variation of 2."""
    load = shown({**VLLM, "request_rate": 8.0, "burstiness": 0.5}).stage.load
    assert load == Load(
        kind="gamma", requests_per_s=8.0, burstiness=2.0, requests=100, most_at_once=4
    )


def test_guidellm() -> None:
    report = shown(guidellm())
    stage = report.stage
    assert report.tool == "guidellm"
    assert report.subject.url == "http://127.0.0.1:18765"
    assert stage.load == Load(kind="closed", concurrency=4)
    assert at(stage.numbers.ttft_ms, 50) == pytest.approx(8.05, abs=0.01)
    assert at(stage.numbers.e2e_ms, 50) == pytest.approx(88.5, abs=0.1), "it counts in seconds"
    assert at(stage.numbers.tpot_ms, 50) == pytest.approx(5.286, abs=0.001)
    assert stage.numbers.tpot_ms is not None
    assert stage.numbers.itl_ms is None, "what it calls so is the TPOT of requests"


def test_guidellms_rates_are_means_and_its_bounds_are_kept() -> None:
    """Its median rate is that of gaps between neighbouring answers: 24.8 where 100 took 2.42 s."""
    stage = shown(guidellm()).stage
    assert stage.numbers.requests_per_s is not None
    assert stage.numbers.requests_per_s.value == pytest.approx(100 / 2.4214, rel=1e-3)
    assert stage.numbers.ttft_ms is not None
    assert stage.numbers.ttft_ms.p90 is not None
    assert stage.numbers.ttft_ms.p90.low == pytest.approx(10.586, abs=0.001)


def test_guidellms_requests_become_columns() -> None:
    columns = shown(guidellm()).stage.columns
    assert len(columns) == 3
    assert columns.output_tokens == (16, 16, 16)
    assert columns.scheduled_s[0] == pytest.approx(0, abs=1e-3)
    assert columns.ttft_ms[0] == pytest.approx(10.557, abs=1e-3)
    tree = guidellm()
    tree["benchmarks"][0]["requests"]["successful"].reverse()
    assert shown(tree).stage.columns == columns, "in order of time, whatever the file's order is"


def test_a_sweep_of_guidellm_is_one_report_with_stages() -> None:
    tree = guidellm()
    poisson = json.loads(json.dumps(tree["benchmarks"][0]))
    poisson["config"]["strategy"] = {"type_": "poisson", "rate": 7.5}
    report = shown({**tree, "benchmarks": [*tree["benchmarks"], poisson]})
    assert [stage.load for stage in report.stages] == [
        Load(kind="closed", concurrency=4),
        Load(kind="poisson", requests_per_s=7.5),
    ]


def test_aiperf() -> None:
    report = shown(AIPERF)
    numbers = report.stage.numbers
    assert report.tool == "aiperf"
    assert numbers.errors == {"RequestCancellationError": 81, "InternalServerError": 3}
    assert (numbers.requests, numbers.completed) == (284, 200)
    assert at(numbers.tpot_ms, 99) == 55.87
    assert at(numbers.ttft_ms, 95) == 4051.4
    assert numbers.goodput_per_s is None
    assert report.stage.load == Load(kind="closed", concurrency=100)
    assert report.stage.wall_s == 15.2


def test_inference_perf_counts_in_seconds() -> None:
    report = shown(INFERENCE_PERF)
    numbers = report.stage.numbers
    assert report.tool == "inference-perf"
    assert at(numbers.ttft_ms, 99) == pytest.approx(400)
    assert at(numbers.tpot_ms, 50) == pytest.approx(30)
    assert (numbers.requests, numbers.errors) == (320, {"failed": 20})
    assert report.stage.load == Load(kind="poisson", requests_per_s=5.0)
    assert numbers.itl_ms is not None
    assert numbers.itl_ms.p50 is None, "0 is what chunks of several tokens leave of it"


@pytest.mark.parametrize("document", [VLLM, AIPERF, INFERENCE_PERF, guidellm()])
def test_each_has_the_planners_metrics_too(document: dict[str, Any]) -> None:
    stage = shown(document).stage
    assert stage.metrics.ttft_ms is not None
    assert stage.metrics.ttft_ms == Spread(*[at(stage.numbers.ttft_ms, 50)] * 3)
    assert any("from sending" in note for note in stage.notes)


def test_a_broken_file_of_a_known_tool_says_whose() -> None:
    tree = guidellm()
    del tree["benchmarks"][0]["config"]
    del tree["benchmarks"][0]["metrics"]["request_totals"]
    report = shown(tree)
    assert report.stage.load is None, "what is missing is unknown"
    assert report.stage.numbers.completed == 0
    with pytest.raises(BenchError, match=r"theirs\.json"):
        shown({"benchmarks": []})


def _places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree[:1])
    for key, value in entries:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*path, key))


@pytest.mark.parametrize("document", [VLLM, AIPERF, INFERENCE_PERF, guidellm()])
@pytest.mark.parametrize("wrong", [None, "x", [1], {"a": 1}])
def test_whatever_stands_at_any_place_is_shown_or_refused_by_name(
    document: dict[str, Any], wrong: object
) -> None:
    for *path, last in _places(document):
        broken = deepcopy(document)
        there: Any = broken
        for step in path:
            there = there[step]
        there[last] = wrong
        with contextlib.suppress(BenchError):
            shown(broken)


def test_what_failed_is_counted_where_an_older_vllm_does_not_say_it() -> None:
    older = {name: value for name, value in VLLM.items() if name != "failed"}
    assert shown(older).stage.numbers.errors == {"failed": 2}


def test_metrics_alone_are_no_report_to_show() -> None:
    with pytest.raises(BenchError, match="no stages"):
        shown({"metrics": {}})
