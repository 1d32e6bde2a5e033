"""The real model, started, measured and reported, by the command as users type it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotlight.bench.files import read
from pilotlight.cli.exits import Exit
from pilotlight.core import ModelFiles

from .conftest import call


@pytest.mark.real
def test_a_real_model_end_to_end(smollm: ModelFiles, tmp_path: Path) -> None:
    out, page = tmp_path / "report.json", tmp_path / "report.html"
    result = call(
        str(smollm.path), "--option", "threads=1", "--option", "parallel=2", "--concurrency", "2",
        "--workload", "fixed:input=48,output=12", "--requests", "12", "--idle", "500ms",
        "--out", str(out), "--html", str(page),
    )  # fmt: skip
    assert result.exit_code == Exit.OK, result.output
    (report,) = read(out)
    numbers = report.stage.numbers
    assert (numbers.completed, numbers.errors) == (12, {})
    assert numbers.output_tokens is not None
    assert numbers.output_tokens.mean == 12, "as many as were asked for, by the server's usage"
    assert numbers.input_tokens is not None
    assert numbers.input_tokens.mean == pytest.approx(48, abs=0.5), "the template's tokens too"
    assert report.subject.quantization == "Q4_1"
    assert report.subject.size_bytes == smollm.size_bytes
    cold = report.subject.cold_start
    assert cold is not None
    assert cold.load_ms is not None
    assert cold.first_token_ms is not None
    assert cold.load_ms <= cold.first_token_ms
    energy, costs = report.stage.energy, report.stage.costs
    assert energy is not None
    assert energy.source is not None
    assert costs is not None
    assert {way.kind for way in costs.ways} >= {"electricity", "platform", "api"}
    assert page.read_text().count("<svg") >= 2
