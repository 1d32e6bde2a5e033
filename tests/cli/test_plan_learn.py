"""`plan learn`: a benchmark of a GPU goes in, and the next plan for that GPU knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pilotlight.calibration.reports import reported_rates
from pilotlight.cli.exits import Exit

from .conftest import Call

SLOW: dict[str, Any] = {
    "completed": 80, "total_input_tokens": 40_960, "total_output_tokens": 10_240,
    "max_concurrency": 4, "median_ttft_ms": 420.0, "median_tpot_ms": 120.0,
    "output_throughput": 30.0,
}  # fmt: skip
"""An 8B in 16 bits on an L4: about twice as long as plans assume."""

WHAT = ("--model", "llama-3.1-8b", "--quant", "bf16", "--gpu", "l4")


def report(home: Path, document: object) -> str:
    path = home / "report.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_what_was_learned_is_kept_and_said(call: Call, home: Path) -> None:
    result = call("plan", "learn", report(home, SLOW), *WHAT)
    assert result.exit_code == Exit.OK, result.output
    assert "vllm on l4, by 1 run: steps take 1." in result.stdout
    rates = reported_rates(home / "data" / "pilotlight")["l4/vllm"]
    assert "1 run of llama-3.1-8b" in rates.source
    assert 1.7 < 300e9 * 0.84 / rates.of("BF16").read_bytes_s < 2.0


def test_the_next_plan_for_that_gpu_is_slower(call: Call, home: Path) -> None:
    question = (
        "plan", "llama-3.1-8b", "--rps", "0.1", "--gpu", "l4", "--engine", "vllm", "--json",
    )  # fmt: skip
    before = json.loads(call(*question).stdout)
    assert call("plan", "learn", report(home, SLOW), *WHAT).exit_code == Exit.OK
    after = json.loads(call(*question).stdout)
    assert fastest_ms(after) > 1.5 * fastest_ms(before)


def fastest_ms(answer: dict[str, Any]) -> float:
    return min(float(plan["metrics"]["tpot_ms"]["median"]) for plan in answer["plans"])


def test_a_report_without_a_concurrency_is_refused(call: Call, home: Path) -> None:
    unsaid = {name: value for name, value in SLOW.items() if name != "max_concurrency"}
    result = call("plan", "learn", report(home, unsaid), *WHAT)
    assert result.exit_code == Exit.USAGE
    assert "how many ran at once" in result.stderr
    assert "--max-concurrency" in result.stderr


def test_a_file_that_is_not_rates_is_no_calibration(home: Path) -> None:
    directory = home / "calibration" / "reports"
    directory.mkdir(parents=True)
    (directory / "l4-vllm.json").write_text('{"device": "l4"}')
    assert reported_rates(home) == {}


def test_nothing_is_learned_from_what_cant_be(call: Call, home: Path) -> None:
    quick = {**SLOW, "median_tpot_ms": 20.0, "output_throughput": 150.0}
    result = call("plan", "learn", report(home, quick), *WHAT)
    assert result.exit_code == Exit.USAGE
    assert "tpot_ms of 20 can't be" in result.stderr
    assert "1 x l4 at 300 GB/s" in result.stderr
    assert "plan check" in result.stderr
    assert reported_rates(home / "data" / "pilotlight") == {}
