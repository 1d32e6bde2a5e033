"""`pilotlight calibrate`: what it prints, keeps and forgets."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pilotlight.calibration import calibrate as module
from pilotlight.calibration.here import device_of
from pilotlight.calibration.kept import Calibration, save
from pilotlight.engines.base import Engine
from pilotlight.errors import CalibrationError
from pilotlight.machine import Machine
from pilotlight.planner.cpu_speed import cpu_rates

from .conftest import Call


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Measuring takes no time here; the list has the builds that were asked for."""
    builds: list[str] = []

    async def instead(
        engine: Engine, machine: Machine, data_dir: Path, today: date, report: Any
    ) -> Calibration:
        builds.append(engine.build)
        rates = cpu_rates(device_of(machine, engine.build))
        found = Calibration(machine.fingerprint, engine.build, str(today), rates, quiet=False)
        save(found, data_dir)
        return found

    monkeypatch.setattr(module, "calibrate", instead)
    return builds


def test_it_prints_what_was_measured_and_warns_of_neighbours(
    call: Call, measured: list[str]
) -> None:
    done = call("calibrate")
    assert done.exit_code == 0
    assert len(measured) == 1
    assert "Q4_K" in done.stdout
    assert "GFLOP/s" in done.stdout
    assert "other programs were busy" in done.stderr


def test_what_was_measured_is_shown_again_and_forgotten(call: Call, measured: list[str]) -> None:
    call("calibrate")
    shown = call("calibrate", "--show", "--json")
    assert json.loads(shown.stdout)["build"] == measured[0]
    assert len(measured) == 1
    assert call("calibrate", "--forget").stdout == "forgotten\n"
    again = call("calibrate", "--show")
    assert again.exit_code == 1
    assert "nothing was measured yet" in again.stderr


def test_showing_and_forgetting_exclude_each_other(call: Call) -> None:
    assert call("calibrate", "--show", "--forget").exit_code == 2


def test_a_busy_machine_is_an_error_with_the_next_step(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*given: Any) -> Calibration:
        raise CalibrationError("too busy", hint="run it again")

    monkeypatch.setattr(module, "calibrate", refuse)
    done = call("calibrate")
    assert done.exit_code != 0
    assert "error: too busy\nhint: run it again" in done.stderr


def test_a_report_of_this_machine_moves_the_rates(
    call: Call, measured: list[str], home: Path
) -> None:
    report = {
        "max_concurrency": 1,
        "completed": 1,
        "total_input_tokens": 512,
        "total_output_tokens": 64,
        "median_tpot_ms": 1000.0,
        "median_ttft_ms": 9000.0,
        "mean_itl_ms": 1000.0,
        "request_throughput": 0.01,
        "output_throughput": 1.0,
        "total_token_throughput": 9.0,
    }
    (home / "report.json").write_text(json.dumps(report))
    before = json.loads(call("calibrate", "--json").stdout)["rates"]
    done = call(
        "calibrate", "--report", "report.json", "--model", "llama-3.2-1b", "--quant", "q4_k_m",
        "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    after = json.loads(done.stdout)["rates"]
    slower = before["layer_s"] / after["layer_s"]
    assert slower < 0.5
    assert after["types"]["Q4_K"]["read_bytes_s"] == pytest.approx(
        before["types"]["Q4_K"]["read_bytes_s"] * slower
    )
    assert "corrected by 1 runs" in after["source"]


def test_a_report_needs_to_say_what_ran(call: Call) -> None:
    assert call("calibrate", "--report", "report.json").exit_code == 2
