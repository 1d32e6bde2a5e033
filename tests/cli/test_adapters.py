"""`pilotlight adapters`: listed, added by a path of this directory's, removed by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Call
from .server import ModelServer

PATH = "/pilotlight/v1/adapters"
SUPPORT: dict[str, Any] = {
    "id": "small:7b:support", "model": "small:7b", "adapter": "support", "ref": "file:/l.gguf",
    "declared": False, "state": "ready", "error": None,
}  # fmt: skip
BAD = {
    **SUPPORT, "id": "small:7b:bad", "adapter": "bad", "declared": True, "state": "failed",
    "error": "it is of another model",
}  # fmt: skip


def test_the_list_says_where_each_stands_and_why_one_failed(
    call: Call, server: ModelServer
) -> None:
    answer = {"adapters": [SUPPORT, BAD]}
    server.answers[PATH] = (200, answer)
    lines = call("adapters", "--url", server.url).stdout.splitlines()
    assert lines[1].split() == ["small:7b:support", "ready", "added", "file:/l.gguf"]
    assert lines[2].split()[:3] == ["small:7b:bad", "failed", "file"]
    assert lines[3] == "small:7b:bad: it is of another model"
    assert json.loads(call("adapters", "--json", "--url", server.url).stdout) == answer


@pytest.mark.parametrize("ref", ["lora.gguf", "./lora.gguf", "file:lora.gguf"])
def test_add_sends_the_path_that_the_user_meant(
    call: Call,
    server: ModelServer,
    ref: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    server.answers[PATH] = (200, SUPPORT)
    result = call("adapters", "add", "small:7b:support", ref, "--url", server.url)
    assert result.stdout == "small:7b:support is ready\n"
    wanted = {
        "model": "small:7b", "adapter": "support", "ref": f"file:{tmp_path / 'lora.gguf'}",
    }  # fmt: skip
    assert server.bodies(PATH) == [wanted]


def test_add_passes_other_refs_and_the_digest_on(call: Call, server: ModelServer) -> None:
    server.answers[PATH] = (200, SUPPORT)
    digest = "sha256:" + "ab" * 32
    call("adapters", "add", "m:a", "hf:o/r/l.gguf", "--digest", digest, "--url", server.url)
    assert server.bodies(PATH) == [
        {"model": "m", "adapter": "a", "ref": "hf:o/r/l.gguf", "digest": digest}
    ]


def test_remove_names_it_in_the_address(call: Call, server: ModelServer) -> None:
    server.answers[f"{PATH}/small%3A7b%3Asupport"] = (200, {"id": "small:7b:support"})
    result = call("adapters", "remove", "small:7b:support", "--url", server.url)
    assert result.stdout == "small:7b:support is removed\n"


def test_what_names_no_adapter_is_wrong_usage(call: Call, server: ModelServer) -> None:
    result = call("adapters", "add", "small", "l.gguf", "--url", server.url)
    assert result.exit_code == 2
    assert "MODEL:ADAPTER" in result.stderr
    assert not server.requests


def test_the_servers_refusal_is_the_commands(call: Call, server: ModelServer) -> None:
    error = {"message": "it is of another model", "code": "bad_adapter", "param": None}
    server.answers[PATH] = (400, {"error": error})
    result = call("adapters", "add", "m:a", "hf:o/r/l.gguf", "--url", server.url)
    assert result.exit_code != 0
    assert "it is of another model" in result.stderr
