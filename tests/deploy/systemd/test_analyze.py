"""The rendered units before systemd's own judges, which need no running system."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.server.releases import SYSTEMD_CASES
from deploy.systemd.goldens import rendered

pytestmark = pytest.mark.platforms

MOST_EXPOSED = 1.8
"""Of ten, as `systemd-analyze security` rates; a unit without such lines has 9.6."""

cases = pytest.mark.parametrize("case", SYSTEMD_CASES)


@pytest.fixture
def unit(case: str, tmp_path: Path) -> Path:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze isn't on PATH")
    name = f"pilotlight-{SYSTEMD_CASES[case].name}.service"
    path = tmp_path / name
    # `verify` looks for the program that is to run; any that is there will do.
    text = rendered(case)[name]
    start = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    path.write_text(text.replace(start, "ExecStart=/bin/true"))
    return path


def analyze(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("systemd-analyze", *argv), capture_output=True, text=True, timeout=60, check=False
    )


@cases
def test_every_line_is_one_that_systemd_knows(unit: Path, case: str) -> None:
    done = analyze("verify", "--man=no", str(unit))
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, said) == (0, [])


@cases
def test_a_line_that_it_doesnt_know_would_be_found(unit: Path, case: str) -> None:
    unit.write_text(unit.read_text().replace("ProtectClock=yes", "ProtectClok=yes"))
    assert "Unknown key 'ProtectClok'" in analyze("verify", "--man=no", str(unit)).stderr


@cases
def test_it_is_hardly_exposed(unit: Path, case: str) -> None:
    done = analyze(
        "security", "--offline=true", "--json=short", f"--threshold={MOST_EXPOSED * 10:.0f}",
        str(unit),
    )  # fmt: skip
    open_doors = [row["name"] for row in json.loads(done.stdout) if float(row["exposure"] or 0)]
    assert done.returncode == 0, open_doors
