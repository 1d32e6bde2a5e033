"""Real processes and sockets: engines and the gateway are killed, and the ledger is right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.real
def test_kills_and_cancels_lose_and_invent_nothing(tmp_path: Path) -> None:
    out = tmp_path / "ledger.json"
    argv = [
        sys.executable, "-m", "benchmarks.ledger", "--requests", "600", "--engine-kills", "2",
        "--gateway-kills", "1", "--output", str(out),
    ]  # fmt: skip
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {each["name"]: each["value"] for each in json.loads(out.read_text())["figures"]}
    assert found["requests"] == 600
    assert found["answers that their clients got whole"] > 400
    assert found["clients that left half-way"] > 10
