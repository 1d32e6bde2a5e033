"""`plan check`: a report on disk in, the figures that can't be out."""

from __future__ import annotations

import json
from pathlib import Path

from pilotlight.cli.exits import Exit

from .conftest import Call

DEMO = {
    "completed": 100, "total_input_tokens": 102_400, "total_output_tokens": 102_400,
    "max_concurrency": 1, "median_ttft_ms": 20.0, "median_tpot_ms": 3.47,
    "output_throughput": 141.0, "median_e2el_ms": 7242.0,
}  # fmt: skip
"""As one public page has it: 3.47 ms a token, and requests that take 7.06 ms a token."""

WHAT = ("--model", "llama-3.1-8b", "--quant", "bf16", "--gpu", "h100")


def report(home: Path, document: object) -> str:
    path = home / "report.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_a_figure_that_cannot_be_fails_with_its_arithmetic(call: Call, home: Path) -> None:
    result = call("plan", "check", report(home, DEMO), *WHAT)
    assert result.exit_code == Exit.FAILURE
    assert "run 1 (vllm): 2 figures can't be" in result.stdout
    assert "reads 15 GB of weights + 0.134 GB of cache" in result.stdout
    assert "7.06 ms for each of 1023 later tokens" in result.stdout


def test_a_report_that_can_be_passes(call: Call, home: Path) -> None:
    slower = {**DEMO, "median_tpot_ms": 7.06}
    result = call("plan", "check", report(home, slower), *WHAT)
    assert result.exit_code == Exit.OK, result.output
    assert "nothing beats a bound" in result.stdout


def test_json_names_the_metric_and_the_bound(call: Call, home: Path) -> None:
    result = call("plan", "check", report(home, DEMO), *WHAT, "--json")
    (run,) = json.loads(result.stdout)
    assert run["tool"] == "vllm"
    assert {flag["metric"] for flag in run["flags"]} == {"tpot_ms"}
    assert 4.4 < run["flags"][0]["bound"] < 4.6


def test_two_gpus_and_speculation_move_the_bound(call: Call, home: Path) -> None:
    alone = {name: value for name, value in DEMO.items() if name != "median_e2el_ms"}
    path = report(home, alone)
    assert call("plan", "check", path, *WHAT).exit_code == Exit.FAILURE
    assert call("plan", "check", path, *WHAT, "--gpus", "2").exit_code == Exit.OK
    assert call("plan", "check", path, *WHAT, "--tokens-per-step", "2").exit_code == Exit.OK


def test_a_processor_has_its_memory_as_a_bound(call: Call, home: Path) -> None:
    slower = {**DEMO, "median_tpot_ms": 30.0, "median_e2el_ms": 30_800.0, "output_throughput": 32.0}
    path = report(home, slower)
    what = ("--model", "llama-3.1-8b", "--quant", "bf16", "--cpu", "epyc-9554")
    result = call("plan", "check", path, *what)
    assert result.exit_code == Exit.FAILURE
    assert "1 x epyc-9554 at 461 GB/s reads that in 32." in result.stdout
    assert call("plan", "check", path, *what, "--gpus", "2").exit_code == Exit.OK


def test_what_a_processors_cache_holds_has_no_bound(call: Call, home: Path) -> None:
    quick = {**DEMO, "median_tpot_ms": 0.2, "median_e2el_ms": 225.0, "output_throughput": 4_500.0}
    what = ("--model", "smollm2-135m", "--quant", "q4_0", "--cpu", "core-i5-12400")
    assert call("plan", "check", report(home, quick), *what).exit_code == Exit.OK


def test_a_report_of_neither_or_both_is_wrong_usage(call: Call, home: Path) -> None:
    path = report(home, DEMO)
    assert call("plan", "check", path, *WHAT[:4]).exit_code == Exit.USAGE
    assert call("plan", "check", path, *WHAT, "--cpu", "epyc-9554").exit_code == Exit.USAGE


def test_bad_input_says_what_to_give(call: Call, home: Path) -> None:
    other = home / "other.json"
    other.write_text('{"speed": 3}')
    path = report(home, DEMO)
    for args, said in (
        ((str(home / "none.json"), *WHAT), "No such file"),
        ((str(other), *WHAT), "no benchmark report has these fields: speed"),
        ((path, *WHAT[:4], "--gpu", "h1000"), "unknown GPU 'h1000'"),
    ):
        result = call("plan", "check", *args)
        assert result.exit_code == Exit.USAGE, result.output
        assert said in result.stderr
        assert "hint:" in result.stderr


def test_what_is_not_json_is_named(call: Call, home: Path) -> None:
    (home / "report.json").write_text("ttft 20 ms")
    result = call("plan", "check", str(home / "report.json"), *WHAT)
    assert result.exit_code == Exit.USAGE
    assert "isn't JSON" in result.stderr


def test_a_quantization_is_named_as_people_do_and_must_be_known(call: Call, home: Path) -> None:
    path, what = report(home, DEMO), ("--model", "llama-3.1-8b", "--gpu", "h100")
    assert "2 figures" in call("plan", "check", path, *what, "--quant", "BF16").stdout
    unsaid = call("plan", "check", path, *what)
    assert "'llama-3.1-8b' ran in which quantization?" in unsaid.stderr
    unknown = call("plan", "check", path, *what, "--quant", "q4_k_x")
    assert "unknown quantization 'q4_k_x'" in unknown.stderr
    assert "q4_k_m" in unknown.stderr
