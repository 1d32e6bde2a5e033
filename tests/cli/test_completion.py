"""Completion: the scripts, and what they answer to a real shell."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Call
from .server import ModelServer


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(call: Call, shell: str) -> None:
    result = call("completion", shell)
    assert result.exit_code == 0
    assert f"_PILOTLIGHT_COMPLETE={shell}_complete" in result.stdout


def test_another_shell_is_wrong_usage(call: Call) -> None:
    assert call("completion", "tcsh").exit_code == 2


def _complete(home: Path, line: str) -> list[str]:
    """What bash offers after `line` once it has the script."""
    script = home / "script.bash"
    program = home / "bin" / "pilotlight"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pilotlight.cli "$@"\n')
    program.chmod(0o755)
    made = subprocess.run(
        [program, "completion", "bash"], capture_output=True, text=True, check=True, timeout=60
    )
    script.write_text(made.stdout)
    words = line.split(" ")
    command = (
        f"source {script}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1};"
        '_pilotlight_completion pilotlight; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    answer = subprocess.run(
        ["bash", "-c", f'PATH="{program.parent}:$PATH"; {command}'],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return answer.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash isn't installed")
def test_bash_completes_commands_and_the_servers_models(
    home: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _complete(home, "pilotlight mod") == ["models"]
    monkeypatch.setenv("PILOTLIGHT_URL", server.url)
    assert _complete(home, "pilotlight load sm") == ["small"]
    assert _complete(home, "pilotlight chat x") == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash isn't installed")
def test_without_a_server_model_names_complete_to_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PILOTLIGHT_URL", "http://127.0.0.1:9")
    assert _complete(home, "pilotlight load sm") == []
