"""The benchmark of the generator holds it against an engine that stamps for itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_generators_clock_agrees_with_the_engines(tmp_path: Path) -> None:
    """At a small load, on a machine that may be busy: the goals are the benchmark's own."""
    out = tmp_path / "generator.json"
    argv = [sys.executable, "-m", "benchmarks.generator", "--out", str(out)]
    few = ("--rounds", "1", "--seconds", "0.5", "--rate", "200")
    done = subprocess.run([*argv, *few], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    raw = json.loads(out.read_text())["raw"]
    assert 0 < raw["added_p50_ms"][0] < 5
    assert 1 <= raw["reads"][0] <= 16
    assert raw["sent_per_s"][0] > 100
