"""A remote model behind the gateway: what passes, and every way it can go wrong."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from pilotlight.core import ReplicaState

from .conftest import Build
from .house import KEY, remote_model
from .scripted import (
    DONE,
    MODELS,
    Behave,
    Endpoint,
    answer,
    delta,
    event,
    finish,
    hang_up,
    no_http,
    says,
    silence,
    stream,
    whole,
)

MESSAGES = [{"role": "user", "content": "hi"}]
OPENAI = ("/v1/chat/completions", {"model": "cloud", "messages": MESSAGES})
ANTHROPIC = ("/v1/messages", {"model": "cloud", "max_tokens": 5, "messages": MESSAGES})
OLLAMA = ("/api/chat", {"model": "cloud", "messages": MESSAGES, "stream": False})


async def test_the_remote_is_asked_by_its_own_name_and_answers_with_it(
    street: Build, remote: Endpoint
) -> None:
    house = await street({"cloud": remote_model(remote.url)})
    call = await house.client.post(*OPENAI)
    assert call.status == 200
    assert remote.posts[0].json["model"] == "big-one"
    assert remote.posts[0].path == "/v1/chat/completions"
    assert call.json == answer()  # byte for byte what the remote said, its own name with it
    assert call.headers["x-pilotlight-model"] == "cloud"
    assert await house.metric("pilotlight_tokens_total", model="cloud", kind="prompt") == 9


async def test_a_stream_passes_untouched(street: Build, remote: Endpoint) -> None:
    house = await street({"cloud": remote_model(remote.url)})
    sent = (delta("hel"), delta("lo"), finish(), DONE)
    remote.behave = stream(*sent)
    call = await house.client.chat("cloud", stream=True).done()
    assert call.body == b"".join(sent)
    assert remote.posts[0].json["stream"] is True


async def test_other_surfaces_are_carried_by_its_chat(street: Build, remote: Endpoint) -> None:
    house = await street({"cloud": remote_model(remote.url)})
    call = await house.client.post(*ANTHROPIC)
    assert call.json["content"][0]["text"] == "hello"
    call = await house.client.post(*OLLAMA)
    assert call.json["message"]["content"] == "hello"
    assert [asked.json["model"] for asked in remote.posts] == ["big-one", "big-one"]


async def test_no_token_is_spent_to_find_out_whether_it_is_there(
    street: Build, remote: Endpoint
) -> None:
    house = await street({"cloud": {**remote_model(remote.url), "min": 1}})
    call = await house.client.post("/pilotlight/v1/load", {"model": "cloud"})
    assert call.status == 200
    assert remote.asked
    assert {(asked.method, asked.path) for asked in remote.asked} == {("GET", "/v1/models")}


async def test_openais_own_fields_pass_and_others_do_not(street: Build, remote: Endpoint) -> None:
    house = await street({"cloud": remote_model(remote.url)})
    path, body = OPENAI
    call = await house.client.post(path, {**body, "reasoning_effort": "low", "user": "anna"})
    assert call.status == 200
    assert remote.posts[0].json["reasoning_effort"] == "low"
    assert "user" not in remote.posts[0].json, "who asks is nobody's business over there"
    call = await house.client.post(path, {**body, "top_k": 5})
    assert (call.status, call.json["error"]["param"]) == (400, "top_k")
    assert len(remote.posts) == 1


FAILURES: list[tuple[str, Behave, int, str]] = [
    ("silence", silence, 504, "engine_timeout"),
    ("hang_up", hang_up, 502, "engine_unreachable"),
    ("no_http", no_http, 502, "bad_engine_answer"),
    ("html", whole(200, b"<html>Sign in</html>", "text/html"), 502, "bad_engine_answer"),
    ("not_json", whole(200, b"{oops"), 502, "bad_engine_answer"),
    ("cut_off", whole(200, b"", Content_Length="99"), 502, "engine_unreachable"),
    ("moved", whole(302, b"", Location="http://elsewhere/"), 502, "engine_refused"),
    ("bad_key", says({"error": {"message": "no"}}, 401), 502, "engine_refused"),
    ("forbidden", says({"error": {"message": "no"}}, 403), 502, "engine_refused"),
    ("no_model", says({"error": {"message": "no"}}, 404), 502, "engine_refused"),
    ("limited", says({"error": {"message": "slow down"}}, 429), 429, "rate_limited"),
    ("broke", says({"error": {"message": "quota", "code": "insufficient_quota"}}, 429), 502,
     "engine_refused"),
    ("bad_field", says({"error": {"message": "no", "param": "seed"}}, 400), 400,
     "invalid_request"),
    ("too_long", says({"error": {"message": "m", "code": "context_length_exceeded"}}, 400), 400,
     "context_length_exceeded"),
    ("down", whole(502, b"<html>Bad gateway</html>", "text/html"), 503, "unavailable"),
    ("failed", says({"detail": "kaboom"}, 500), 503, "unavailable"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("behave", "status", "code"), [f[1:] for f in FAILURES], ids=[f[0] for f in FAILURES]
)
async def test_each_failure_has_its_own_error(
    street: Build, remote: Endpoint, behave: Behave, status: int, code: str
) -> None:
    house = await street({"cloud": remote_model(remote.url, timeout="300ms")})
    remote.behave = behave
    call = await house.client.post(*OPENAI)
    assert (call.status, call.json["error"]["code"]) == (status, code)
    assert set(call.json["error"]) == {"message", "type", "param", "code"}
    # One answer that failed says nothing of the next.
    remote.behave = says(answer())
    assert (await house.client.post(*OPENAI)).status == 200


@pytest.mark.parametrize("asked", [ANTHROPIC, OLLAMA], ids=["anthropic", "ollama"])
async def test_a_refusal_has_the_shape_of_the_surface(
    street: Build, remote: Endpoint, asked: tuple[str, Any]
) -> None:
    house = await street({"cloud": remote_model(remote.url)})
    remote.behave = says({"error": {"message": "slow down"}}, 429)
    call = await house.client.post(*asked)
    assert call.status == 429
    shapes = {
        "/v1/messages": lambda body: body["error"]["type"] == "rate_limit_error",
        "/api/chat": lambda body: "slow down" in body["error"],
    }
    assert shapes[asked[0]](call.json)


@pytest.mark.parametrize(
    ("header", "value", "passed"),
    [
        ("Retry_After", "7", "7"),
        ("Retry_After_Ms", "1500", "2"),
        ("Retry_After", "Wed, 21 Oct 2015 07:28:00 GMT", "1"),
        ("Retry_After", "soon", None),
        ("Retry_After", "-5", None),
    ],
)
async def test_when_to_ask_again_is_passed_on(
    street: Build, remote: Endpoint, header: str, value: str, passed: str | None
) -> None:
    house = await street({"cloud": remote_model(remote.url)})
    remote.behave = says({"error": {"message": "slow down"}}, 429, **{header: value})
    call = await house.client.post(*OPENAI)
    assert call.headers.get("retry-after") == passed


BROKEN_STREAMS: list[tuple[str, Behave, str]] = [
    ("garbage", stream(delta("hel"), b"data: {oops\n\n", DONE), "bad_engine_answer"),
    ("no_event", stream(delta("hel"), b"<html>\n\n"), "bad_engine_answer"),
    ("closes_early", stream(delta("hel")), "bad_engine_answer"),
    ("breaks", stream(delta("hel"), ended=False), "engine_unreachable"),
]


@pytest.mark.parametrize(
    ("behave", "code"), [b[1:] for b in BROKEN_STREAMS], ids=[b[0] for b in BROKEN_STREAMS]
)
async def test_a_stream_that_goes_wrong_never_looks_whole(
    street: Build, remote: Endpoint, behave: Behave, code: str
) -> None:
    house = await street({"cloud": remote_model(remote.url)})
    remote.behave = behave
    call = await house.client.chat("cloud", stream=True).done()
    assert b"[DONE]" not in call.body
    [error] = [item["error"] for item in _events(call.body) if "error" in item]
    assert error["code"] == code


def _events(body: bytes) -> list[Any]:
    lines = (line.removeprefix("data: ") for line in body.decode().splitlines() if line)
    return [json.loads(line) for line in lines if line.startswith("{")]


async def test_an_error_in_the_stream_is_the_remotes_own_last_word(
    street: Build, remote: Endpoint
) -> None:
    house = await street({"cloud": remote_model(remote.url)})
    last = event({"error": {"message": "overloaded", "code": "server_error"}})
    remote.behave = stream(delta("hel"), last)
    call = await house.client.chat("cloud", stream=True).done()
    assert call.body == delta("hel") + last


async def test_a_stream_that_falls_silent_is_cut_off(street: Build, remote: Endpoint) -> None:
    house = await street({"cloud": remote_model(remote.url, timeout="300ms")})

    async def half(asked: Any, writer: Any) -> None:
        await stream(delta("hel"), ended=False)(asked, writer)
        await silence(asked, writer)

    remote.behave = half
    call = await house.client.chat("cloud", stream=True).done()
    assert _events(call.body)[-1]["error"]["code"] == "engine_timeout"


async def test_a_client_that_leaves_ends_the_request_there(street: Build, remote: Endpoint) -> None:
    import asyncio

    house = await street({"cloud": remote_model(remote.url)})
    gone = asyncio.Event()

    async def watch(asked: Any, writer: Any) -> None:
        await stream(delta("hel"), ended=False)(asked, writer)
        while not writer.is_closing():
            writer.write(b"1\r\n:\r\n")
            await writer.drain()
            await asyncio.sleep(0)
        gone.set()

    async def behave(asked: Any, writer: Any) -> None:
        try:
            await watch(asked, writer)
        finally:
            gone.set()

    remote.behave = behave
    call = house.client.chat("cloud", stream=True)
    while not call.chunks:
        await asyncio.sleep(0)
    call.leave()
    await call.done()
    await asyncio.wait_for(gone.wait(), 5)


async def test_one_out_of_reach_is_said_at_once_and_never_given_up(
    street: Build, remote: Endpoint
) -> None:
    house = await street({"cloud": remote_model(remote.url)}, defaults={"max_crashes": 2})
    await remote.stop()
    call = await house.client.post(*OPENAI)
    assert (call.status, call.json["error"]["code"]) == (502, "engine_unreachable")
    call = await house.client.post(*OPENAI)
    assert call.json["error"]["code"] == "engine_unreachable"
    assert not house.house.router.state.models["cloud"].given_up
    await remote.start()
    assert (await house.client.post(*OPENAI)).status == 200


@pytest.mark.parametrize("status", [401, 404])
async def test_one_that_refuses_us_is_given_up_with_the_next_step(
    street: Build, remote: Endpoint, status: int
) -> None:
    house = await street({"cloud": remote_model(remote.url)}, defaults={"max_crashes": 1})
    remote.models = says({"error": {"message": "no such key"}}, status)
    call = await house.client.post(*OPENAI)
    assert call.status == 503
    assert f"answers {status} to GET /models" in call.json["error"]["message"]
    assert house.house.router.state.models["cloud"].given_up
    # Mended over there, and asked for again.
    remote.models = says(MODELS)
    await house.client.post("/pilotlight/v1/load", {"model": "cloud"})
    assert (await house.client.post(*OPENAI)).status == 200


async def test_the_key_goes_there_and_nowhere_else(
    street: Build,
    remote: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("CLOUD_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    house = await street({"cloud": remote_model(remote.url, api_key_env="CLOUD_KEY")})
    seen = [(await house.client.post(*OPENAI)).body]
    assert {asked.headers["authorization"] for asked in remote.asked} == {f"Bearer {KEY}"}
    for behave in (f[1] for f in FAILURES[1:]):
        remote.behave = behave
        seen.append((await house.client.post(*OPENAI)).body)
    for path in ("/pilotlight/v1/ps", "/pilotlight/v1/models", "/metrics", "/v1/models"):
        seen.append((await house.client.get(path)).body)
    everything = b"".join(seen).decode() + caplog.text + repr(house.settings)
    assert "CLOUD_KEY" in everything
    assert KEY not in everything


async def test_a_remote_that_repeats_the_key_is_not_quoted_on_it(
    street: Build,
    remote: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Some say which key was wrong, in full; clients and logs are no place for it."""
    monkeypatch.setenv("CLOUD_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    house = await street({"cloud": remote_model(remote.url, api_key_env="CLOUD_KEY")})
    repeats = {"error": {"message": f"Incorrect API key provided: {KEY}.", "code": "bad"}}
    seen = []
    for status in (400, 401, 429, 500):
        remote.behave = says(repeats, status)
        call = await house.client.post(*OPENAI)
        assert "Incorrect API key provided: ***." in call.json["error"]["message"]
        seen.append(call.body)
    await house.client.post("/pilotlight/v1/stop", {"model": "cloud"})
    remote.models = says(repeats, 401)
    seen.append((await house.client.post(*OPENAI)).body)
    for path in ("/pilotlight/v1/ps", "/pilotlight/v1/models"):
        seen.append((await house.client.get(path)).body)
    everything = b"".join(seen).decode() + caplog.text
    assert everything.count("Incorrect API key provided: ***") >= 5
    assert KEY not in everything


async def test_without_its_key_the_model_says_which_variable(
    street: Build, remote: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUD_KEY", raising=False)
    models = {"cloud": {**remote_model(remote.url, api_key_env="CLOUD_KEY"), "max_crashes": 1}}
    house = await street(models)
    call = await house.client.post(*OPENAI)
    assert call.status == 503
    assert "'CLOUD_KEY' is not set" in call.json["error"]["message"]
    assert remote.asked == []


async def test_it_takes_no_memory_and_goes_after_its_keep_alive(
    street: Build, remote: Endpoint
) -> None:
    house = await street({"cloud": remote_model(remote.url)})
    call = await house.client.post(OPENAI[0], {**OPENAI[1], "keep_alive": 0})
    assert call.status == 200
    await house.house.router.quiet()
    assert not house.fleet.remotes[0].alive
    await house.client.post(*OPENAI)
    [replica] = house.house.router.state.of("cloud")
    assert replica.state is ReplicaState.READY
    assert replica.charged_bytes == 0
