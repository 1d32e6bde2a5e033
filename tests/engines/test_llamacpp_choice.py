"""Which program runs: configured, on PATH, or the wheel."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from pilotlight.config import EngineSettings, LlamacppSettings
from pilotlight.engines.llamacpp import choose
from pilotlight.engines.registry import Engines
from pilotlight.errors import ConfigError, EngineMissingError
from pilotlight.machine import Machine


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


ANSWERS = """case "$1" in
--version) echo "version: 4321 (abc)" >&2;;
--list-devices) printf 'Available devices:\\n  CUDA0: A10\\n';;
esac"""


@pytest.fixture
def server(tmp_path: Path) -> Path:
    return script(tmp_path / "llama-server", ANSWERS)


@pytest.fixture(autouse=True)
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", f"{path}:/bin:/usr/bin")
    return path


def without_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)


def test_the_configured_server_wins(server: Path, machine: Machine) -> None:
    engine = choose(LlamacppSettings(server=server), machine)
    assert engine.build == "llama-server 4321 (abc)"


def test_the_server_on_path_comes_before_the_wheel(empty_path: Path, machine: Machine) -> None:
    script(empty_path / "llama-server", ANSWERS)
    assert choose(LlamacppSettings(), machine).build.startswith("llama-server")
    assert choose(LlamacppSettings(prefer="wheel"), machine).build.startswith("xllamacpp")


def test_a_broken_server_on_path_is_passed_over(empty_path: Path, machine: Machine) -> None:
    script(empty_path / "llama-server", "exit 1")
    assert choose(LlamacppSettings(), machine).build.startswith("xllamacpp")
    with pytest.raises(EngineMissingError, match="PATH"):
        choose(LlamacppSettings(prefer="server"), machine)


def test_a_broken_configured_server_is_an_error(tmp_path: Path, machine: Machine) -> None:
    for path, words in (
        (tmp_path / "absent", "no file"),
        (script(tmp_path / "mute", "exit 0"), "--version"),
        (script(tmp_path / "failing", "exit 3"), "--version"),
    ):
        with pytest.raises(EngineMissingError, match=words) as caught:
            choose(LlamacppSettings(server=path), machine)
        assert str(path) in str(caught.value)
    plain = tmp_path / "plain"
    plain.touch(mode=0o644)
    with pytest.raises(EngineMissingError, match="not executable"):
        choose(LlamacppSettings(server=plain), machine)


def test_without_any_the_hint_installs_one(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_wheel(monkeypatch)
    for prefer in ("auto", "wheel"):
        with pytest.raises(EngineMissingError) as caught:
            choose(LlamacppSettings(prefer=prefer), machine)
        assert "pip install 'pilotlight[llamacpp]'" in str(caught.value)


def test_an_unknown_preference_is_refused(machine: Machine) -> None:
    with pytest.raises(ConfigError, match="'fastest'"):
        choose(LlamacppSettings(prefer="fastest"), machine)


def test_a_server_that_lists_devices_offloads(
    server: Path, tmp_path: Path, gpu_machine: Machine
) -> None:
    assert choose(LlamacppSettings(server=server), gpu_machine).offloads  # type: ignore[attr-defined]
    plain = script(tmp_path / "plain", 'test "$1" = --version && echo "version: 1" || true')
    assert not choose(LlamacppSettings(server=plain), gpu_machine).offloads  # type: ignore[attr-defined]


def test_the_registry_finds_it(machine: Machine, server: Path) -> None:
    settings = EngineSettings(llamacpp=LlamacppSettings(server=server))
    assert Engines(settings, machine).get("llamacpp").name == "llamacpp"


def test_choosing_never_imports_the_wheel() -> None:
    code = (
        "import sys; from pilotlight.config import LlamacppSettings\n"
        "from pilotlight.engines.llamacpp import choose\n"
        "from pilotlight.machine import survey\n"
        "print(choose(LlamacppSettings(prefer='wheel'), survey()).build)\n"
        "assert 'xllamacpp' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("xllamacpp ")
