"""The rendered files before Docker's own compose, which asks no engine to judge one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.compose.goldens import rendered
from deploy.compose.providers import need_docker_compose
from deploy.server.releases import COMPOSE_CASES, IMAGE

pytestmark = pytest.mark.platforms

cases = pytest.mark.parametrize("case", COMPOSE_CASES)


@pytest.fixture
def folder(case: str, tmp_path: Path) -> Path:
    need_docker_compose()
    for name, text in rendered(case).items():
        # The file of a server's own isn't on this machine.
        (tmp_path / name).write_text(text.replace("/etc/pilotlight/chat.env", "tokens.env"))
    (tmp_path / "tokens.env").write_text("PILOTLIGHT_STORE_HF_TOKEN=hf_x\n")
    return tmp_path


def config(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("docker", "compose", "config", "--format", "json"),
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@cases
def test_it_is_a_compose_file_and_its_image_is_the_digest(folder: Path, case: str) -> None:
    done = config(folder)
    assert (done.returncode, done.stderr) == (0, "")
    service: dict[str, Any] = json.loads(done.stdout)["services"]["gateway"]
    assert service["image"] == IMAGE
    assert int(service["mem_limit"]) == 6 * 2**30
    assert service["stop_grace_period"] == "35s"


@cases
def test_a_key_that_it_doesnt_know_would_be_found(folder: Path, case: str) -> None:
    file = folder / "compose.yaml"
    file.write_text(file.read_text().replace("read_only:", "readonly:"))
    assert "readonly" in config(folder).stderr


@cases
def test_without_an_image_nothing_starts(folder: Path, case: str) -> None:
    (folder / ".env").write_text("")
    assert "the image by digest" in config(folder).stderr
