"""main.tf in Terraform itself: its own format, and the provider's schema where that is there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.cloud_run.goldens import rendered
from deploy.cloud_run.releases import CASES

pytestmark = pytest.mark.platforms

cases = pytest.mark.parametrize("case", CASES)


@pytest.fixture
def terraform() -> str:
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("terraform isn't on PATH")
    return program


def ran(*words: str, at: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=at, capture_output=True, text=True, timeout=120)


@cases
def test_it_is_written_as_terraform_writes(terraform: str, case: str, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(rendered(case)["main.tf"])
    done = ran(terraform, "fmt", "-check", "-diff", "-no-color", at=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@cases
def test_the_provider_takes_it(terraform: str, case: str, tmp_path: Path) -> None:
    for name, text in rendered(case).items():
        (tmp_path / name).write_text(text)
    ready = ran(terraform, "init", "-backend=false", "-input=false", "-no-color", at=tmp_path)
    if ready.returncode != 0 and "Failed to query available provider packages" in ready.stderr:
        pytest.skip("Terraform's google provider is neither on this machine nor reachable")
    assert ready.returncode == 0, ready.stderr
    done = ran(terraform, "validate", "-no-color", at=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
