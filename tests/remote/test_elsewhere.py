"""Every kind of engine that runs elsewhere fails in the same ways, and is as plain about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Build
from .house import Street, remote_model
from .scripted import (
    DONE,
    MODELS,
    Asked,
    Behave,
    Endpoint,
    answer,
    delta,
    hang_up,
    says,
    silence,
    stream,
    whole,
)

MESSAGES = [{"role": "user", "content": "hi"}]
OLLAMA: dict[str, Any] = {
    "/api/version": {"version": "0.12.0"},
    "/api/tags": {"models": [{"name": "big-one:latest", "size": 10, "digest": "abc"}]},
    "/api/show": {"capabilities": ["completion"]},
    "/api/generate": {"done": True},
    "/api/ps": {"models": []},
}


def _openai(remote: Endpoint) -> dict[str, Any]:
    return remote_model(remote.url, timeout="300ms")


def _command(remote: Endpoint) -> dict[str, Any]:
    options = {"endpoint": remote.url.removesuffix("/v1"), "timeout": "300ms"}
    return {"ref": "openai:big-one", "engine": "command", "options": options}


def _ollama(remote: Endpoint) -> dict[str, Any]:
    options = {"host": remote.url.removesuffix("/v1"), "timeout": "300ms"}
    return {"ref": "ollama:big-one", "engine": "ollama", "options": options}


def serves(remote: Endpoint, chat: Behave) -> None:
    """All well but its answers to a chat."""

    async def behave(asked: Asked, writer: Any) -> None:
        known = says(OLLAMA[asked.path]) if asked.path in OLLAMA else chat
        await known(asked, writer)

    async def get(asked: Asked, writer: Any) -> None:
        await says(OLLAMA.get(asked.path, MODELS))(asked, writer)

    remote.behave, remote.models = behave, get


async def loaded(
    street: Build, remote: Endpoint, kind: Callable[[Endpoint], dict[str, Any]]
) -> Street:
    """While all is well: one that runs here is proven by a token when it is loaded."""
    serves(remote, says(answer()))
    house = await street({"m": kind(remote)})
    assert (await house.client.post("/pilotlight/v1/load", {"model": "m"})).status == 200
    return house


WHOLE: list[tuple[str, Behave, int, str]] = [
    ("silent", silence, 504, "engine_timeout"),
    ("closes_early", whole(200, b"{", Content_Length="99"), 502, "engine_unreachable"),
    ("hangs_up", hang_up, 502, "engine_unreachable"),
    ("garbage", whole(200, b"\x00\xff" * 50), 502, "bad_engine_answer"),
    ("html", whole(200, b"<html>", "text/html"), 502, "bad_engine_answer"),
    ("huge_headers", whole(200, b"{}", X_Junk="x" * 70_000), 502, "bad_engine_answer"),
    ("moved", whole(307, b"", Location="http://elsewhere/"), 502, "engine_refused"),
    ("out_of_memory", says({"error": "model requires more system memory"}, 500), 503,
     "unavailable"),
]  # fmt: skip
STREAMED: list[tuple[str, Behave, str]] = [
    ("garbage", stream(delta("hel"), b"\x00\xff\n\n", DONE), "bad_engine_answer"),
    ("closes_early", stream(delta("hel")), "bad_engine_answer"),
    ("breaks_off", stream(delta("hel"), ended=False), "engine_unreachable"),
]
KINDS = pytest.mark.parametrize("kind", [_openai, _command, _ollama])


@KINDS
@pytest.mark.parametrize(
    ("chat", "status", "code"), [w[1:] for w in WHOLE], ids=[w[0] for w in WHOLE]
)
async def test_a_whole_answer(
    street: Build,
    remote: Endpoint,
    kind: Callable[[Endpoint], dict[str, Any]],
    chat: Behave,
    status: int,
    code: str,
) -> None:
    house = await loaded(street, remote, kind)
    serves(remote, chat)
    call = await house.client.post("/v1/chat/completions", {"model": "m", "messages": MESSAGES})
    assert (call.status, call.json["error"]["code"]) == (status, code)
    # It passes, and nobody here has to do anything.
    serves(remote, says(answer()))
    call = await house.client.post("/v1/chat/completions", {"model": "m", "messages": MESSAGES})
    assert call.status == 200


@KINDS
@pytest.mark.parametrize(("chat", "code"), [s[1:] for s in STREAMED], ids=[s[0] for s in STREAMED])
async def test_a_stream(
    street: Build,
    remote: Endpoint,
    kind: Callable[[Endpoint], dict[str, Any]],
    chat: Behave,
    code: str,
) -> None:
    house = await loaded(street, remote, kind)
    serves(remote, chat)
    call = await house.client.chat("m", stream=True).done()
    assert b"[DONE]" not in call.body
    if call.status == 200:  # it was under way when the trouble came
        found = [line for line in call.body.decode().splitlines() if line.startswith("data: {")]
        error = json.loads(found[-1].removeprefix("data: "))["error"]
    else:
        error = call.json["error"]
    assert error["code"] == code
