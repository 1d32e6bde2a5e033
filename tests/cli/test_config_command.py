"""`config check`: what is in force and why, and exit code 2 with the specific error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Call


def _rows(call: Call, *arguments: str) -> dict[str, tuple[str, str]]:
    result = call("config", "check", "--json", *arguments)
    assert result.exit_code == 0, result.stderr
    settings = json.loads(result.stdout)["settings"]
    return {row["path"]: (row["value"], row["origin"]) for row in settings}


def test_every_setting_says_where_it_came_from(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "p.yaml").write_text("host: localhost\ndrain: 90s\nmax_body: 1MiB\nport: 1\n")
    monkeypatch.setenv("PILOTLIGHT_MAX_BODY", "2MiB")
    monkeypatch.setenv("PILOTLIGHT_PORT", "2")
    rows = _rows(call, "p.yaml", "--port", "3", "--no-timing-headers")
    assert rows["port"] == ("3", "flag --port")
    assert rows["timing_headers"] == ("false", "flag --timing-headers")
    assert rows["max_body"] == ("2MiB", "environment PILOTLIGHT_MAX_BODY")
    assert rows["drain"] == ("90s", "file p.yaml")
    assert rows["log_level"] == ("info", "default")


def test_models_say_what_is_their_own(call: Call, home: Path) -> None:
    (home / "p.yaml").write_text(
        "defaults: {queue: 9}\nmodels: {m: {ref: 'pypi:x', hold: 5s, options: {context: 512}}}\n"
    )
    rows = _rows(call, "p.yaml")
    assert rows["models.m.hold"] == ("5s", "file p.yaml")
    assert rows["models.m.queue"] == ("9", "defaults")
    assert rows["models.m.engine"] == ("llamacpp", "default")
    assert rows["models.m.options.context"] == ("512", "file p.yaml")


def test_secrets_are_never_printed(call: Call, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "p.yaml").write_text("store: {index_url: 'https://me:hunter2@host/simple'}\n")
    monkeypatch.setenv("PILOTLIGHT_STORE_HF_TOKEN", "hf_hunter2")
    for flags in (["--json"], []):
        result = call("config", "check", "p.yaml", *flags)
        assert result.exit_code == 0
        assert "hunter2" not in result.stdout + result.stderr
        assert "https://***@host/simple" in result.stdout
        assert "(set, not shown)" in result.stdout


def test_a_secret_has_no_flag(call: Call) -> None:
    assert call("config", "check", "--store-hf-token", "x").exit_code == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot: 1", "error: p.yaml: unknown key 'prot'\nhint: did you mean 'port'?\n"),
        ("models: {m: {ref: 'pypi:x', engine: warp}}", "error: unknown engine 'warp'\n"),
        ("models: {m: {ref: 'ftp:x'}}", "error: unknown scheme 'ftp'"),
        ("models: {m: {ref: 'pypi:x', options: {contxt: 1}}}", "contxt"),
    ],
)
def test_a_wrong_file_exits_2(call: Call, home: Path, text: str, said: str) -> None:
    (home / "p.yaml").write_text(text)
    result = call("config", "check", "p.yaml")
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_a_missing_file_and_a_wrong_variable_exit_2(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = call("config", "check", "none.yaml")
    assert (result.exit_code, result.stderr[:33]) == (2, "error: can't read 'none.yaml': No")
    monkeypatch.setenv("PILOTLIGHT_PORT", "x")
    result = call("config", "check")
    assert result.exit_code == 2
    assert "environment: port is 'x', expected a whole number" in result.stderr
