"""A busy model's requests answered by another: seen by everybody, bounded, never private."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pilotlight.cli import cli
from pilotlight.errors import ConfigError
from pilotlight.gateway.spending import dollars

from .conftest import Build
from .house import Street, remote_model
from .scripted import (
    DONE,
    Endpoint,
    answer,
    delta,
    event,
    finish,
    says,
    silence,
    stream,
)

HEADER = "x-pilotlight-overflow"
PRICED = {"usd_per_mtok_in": 1.0, "usd_per_mtok_out": 4.0, "context": 1000}
HELD = "token:1"


def models(url: str, *, usd_per_day: float | None = 1.0, queue: int = 0, **more: Any) -> Any:
    overflow = {"to": "cloud", "queue": queue}
    if usd_per_day is not None:
        overflow["usd_per_day"] = usd_per_day  # type: ignore[assignment]
    options = PRICED if usd_per_day is not None else {}
    local = {"ref": "fake:m", "engine": "fake", "options": {"parallel": 1}, "overflow": overflow}
    return {"local": {**local, **more}, "cloud": remote_model(url, **options)}


async def busy(house: Street) -> Any:
    """One request holds the only slot of the local model until its process is released."""
    await house.client.post("/pilotlight/v1/load", {"model": "local"})
    house.fleet.processes[-1].hold(HELD)
    held = house.client.chat("local", stream=True)
    await house.fleet.processes[-1].reached(HELD)
    return held


def release(house: Street) -> None:
    house.fleet.processes[-1].release(HELD)


async def test_what_would_wait_too_long_is_answered_elsewhere(
    street: Build, remote: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    house = await street(models(remote.url))
    held = await busy(house)
    call = await house.client.chat("local").done()
    assert call.json["model"] == "big-one"
    assert call.headers[HEADER] == "cloud"
    assert call.headers["x-pilotlight-model"] == "cloud"
    assert remote.posts[0].json["model"] == "big-one"
    assert await house.metric("pilotlight_overflows_total", model="local", to="cloud") == 1
    # 9 prompt tokens at 1 $ and 3 of the answer at 4 $ a million.
    spent = await house.metric("pilotlight_overflow_usd_total", model="local", to="cloud")
    assert spent == pytest.approx(21e-6)
    [fields] = [r.fields for r in caplog.records if getattr(r, "fields", {}).get("overflow")]
    assert (fields["model"], fields["overflow"]) == ("local", "cloud")
    assert fields["overflow_usd"] == pytest.approx(21e-6)
    release(house)
    assert HEADER not in (await held.done()).headers


async def test_as_many_as_may_wait_do(street: Build, remote: Endpoint) -> None:
    house = await street(models(remote.url, queue=2))
    held = await busy(house)
    waiting = [house.client.chat("local") for _ in range(2)]
    while len(house.house.router.state.models["local"].queue) < 2:
        await asyncio.sleep(0)
    assert (await house.client.chat("local").done()).headers[HEADER] == "cloud"
    release(house)
    for call in (held, *waiting):
        assert HEADER not in (await call.done()).headers
    assert len(remote.posts) == 1


async def test_a_cold_model_is_loaded_and_not_passed_by(street: Build, remote: Endpoint) -> None:
    house = await street(models(remote.url))
    call = await house.client.chat("local").done()
    assert call.status == 200
    assert HEADER not in call.headers
    assert remote.posts == []


async def test_without_overflow_nothing_leaves(street: Build, remote: Endpoint) -> None:
    house = await street(models(remote.url, overflow=None))
    held = await busy(house)
    waiting = house.client.chat("local")
    while not house.house.router.state.models["local"].queue:
        await asyncio.sleep(0)
    release(house)
    for call in (held, waiting):
        assert (await call.done()).status == 200
    assert remote.posts == []


@pytest.mark.parametrize(
    "behave",
    [says({"error": {"message": "slow down"}}, 429), says(answer(), 200), stream(delta("x"))],
    ids=["refused", "json_for_a_stream", "cut_off"],
)
async def test_every_answer_says_that_it_overflowed(
    street: Build, remote: Endpoint, behave: Any
) -> None:
    house = await street(models(remote.url))
    held = await busy(house)
    remote.behave = behave
    call = await house.client.chat("local", stream=True).done()
    assert call.headers[HEADER] == "cloud"
    release(house)
    await held.done()


async def test_a_stream_that_waits_says_so_with_its_first_byte(
    street: Build, remote: Endpoint
) -> None:
    house = await street(models(remote.url), keepalive_comment="50ms")
    held = await busy(house)
    remote.behave = silence
    call = house.client.chat("local", stream=True)
    while not call.chunks:
        await asyncio.sleep(0.01)
    assert call.chunks[0].startswith(b":")
    assert call.headers[HEADER] == "cloud"
    call.leave()
    await call.done()
    release(house)
    await held.done()


def usage_event(prompt: int, completion: int) -> bytes:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": 0}
    return event({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "big-one",
                  "choices": [], "usage": usage})  # fmt: skip


async def test_a_stream_is_counted_without_the_client_noticing(
    street: Build, remote: Endpoint
) -> None:
    house = await street(models(remote.url))
    held = await busy(house)
    shown = (delta("hel", usage=None), delta("lo", usage=None), finish())
    remote.behave = stream(*shown, usage_event(100, 50), DONE)
    call = await house.client.chat("local", stream=True).done()
    assert remote.posts[0].json["stream_options"] == {"include_usage": True}
    assert call.body == b"".join(shown) + DONE
    assert await _spent(house) == pytest.approx(300e-6)
    # Who asks for usage gets it.
    asked = house.client.chat("local", stream=True, stream_options={"include_usage": True})
    assert (await asked.done()).events[-2]["usage"]["completion_tokens"] == 50
    release(house)
    await held.done()


async def _spent(house: Street) -> float:
    return await house.metric("pilotlight_overflow_usd_total", model="local", to="cloud")


def _booked(house: Street) -> int:
    import json

    path = house.settings.data_dir / "overflow.json"
    return int(json.loads(path.read_text())["spent_picousd"]["local"])


async def test_other_surfaces_overflow_too(street: Build, remote: Endpoint) -> None:
    house = await street(models(remote.url))
    held = await busy(house)
    message = [{"role": "user", "content": "hi"}]
    call = await house.client.post(
        "/v1/messages", {"model": "local", "max_tokens": 5, "messages": message}
    )
    assert call.headers[HEADER] == "cloud"
    assert call.json["model"] == "local", "this surface echoes the name that was asked for"
    call = await house.client.post(
        "/api/chat", {"model": "local", "messages": message, "stream": False}
    )
    assert (call.status, call.headers[HEADER]) == (200, "cloud")
    release(house)
    await held.done()


async def test_the_budget_holds_and_the_rest_waits(street: Build, remote: Endpoint) -> None:
    # A request without a limit may cost its bytes and 1000 tokens: about 0.0041 $.
    house = await street(models(remote.url, usd_per_day=0.01))
    held = await busy(house)
    gate = asyncio.Event()

    async def slow(asked: Any, writer: Any) -> None:
        await gate.wait()
        await says(answer(prompt=20, completion=900))(asked, writer)

    remote.behave = slow
    calls = [house.client.chat("local") for _ in range(8)]
    while len(house.house.router.state.models["local"].queue) + len(remote.posts) < 8:
        await asyncio.sleep(0)
    assert len(remote.posts) == 2, "a third could exceed the budget"
    gate.set()
    while sum(call.task.done() for call in calls) < 2:
        await asyncio.sleep(0)
    release(house)
    answers = [await call.done() for call in (held, *calls)]
    assert [call.status for call in answers] == [200] * 9
    assert sum(HEADER in call.headers for call in answers) == 2
    assert _booked(house) == 2 * (20 + 4 * 900) * 10**6


async def test_money_that_was_not_spent_comes_back(street: Build, remote: Endpoint) -> None:
    house = await street(models(remote.url, usd_per_day=0.005))
    held = await busy(house)
    for _ in range(20):  # each reserves about 0.0041 $, and costs 21 millionths
        assert (await house.client.chat("local").done()).headers[HEADER] == "cloud"
    assert dollars(_booked(house)) == pytest.approx(20 * 21e-6)
    remote.behave = says({"error": {"message": "no"}}, 500)
    await house.client.chat("local").done()
    assert dollars(_booked(house)) == pytest.approx(20 * 21e-6), "a refusal costs nothing"
    release(house)
    await held.done()


async def test_an_answer_of_unknown_cost_costs_the_most(street: Build, remote: Endpoint) -> None:
    house = await street(models(remote.url))
    held = await busy(house)
    remote.behave = stream(delta("hel"), ended=False)
    call = await house.client.chat("local", stream=True, max_tokens=100).done()
    assert call.headers[HEADER] == "cloud"
    size = len(remote.posts[0].body)
    assert _booked(house) == (size + 4 * 100) * 10**6
    release(house)
    await held.done()


async def test_a_client_that_leaves_is_still_paid_for(street: Build, remote: Endpoint) -> None:
    house = await street(models(remote.url))
    held = await busy(house)
    remote.behave = silence
    call = house.client.chat("local", max_tokens=100)
    while not remote.posts:
        await asyncio.sleep(0)
    call.leave()
    await call.done()
    assert _booked(house) == (len(remote.posts[0].body) + 4 * 100) * 10**6
    release(house)
    await held.done()


@pytest.mark.parametrize("leaves", [True, False], ids=["client", "remote"])
async def test_a_count_before_the_end_is_not_the_bill(
    street: Build, remote: Endpoint, leaves: bool
) -> None:
    """Some endpoints count in every event; one that is cut off goes on, and so does its count."""
    house = await street(models(remote.url))
    held = await busy(house)
    so_far = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}

    async def behave(asked: Any, writer: Any) -> None:
        await stream(delta("hel", usage=so_far), ended=False)(asked, writer)
        if leaves:
            await silence(asked, writer)

    remote.behave = behave
    call = house.client.chat("local", stream=True, max_tokens=100)
    while not call.chunks:
        await asyncio.sleep(0)
    if leaves:
        call.leave()
    await call.done()
    assert _booked(house) == (len(remote.posts[0].body) + 4 * 100) * 10**6
    release(house)
    await held.done()


async def test_one_out_of_reach_costs_nothing(street: Build, remote: Endpoint) -> None:
    house = await street(models(remote.url))
    await house.client.post("/pilotlight/v1/load", {"model": "cloud"})
    held = await busy(house)
    await remote.stop()
    call = await house.client.chat("local").done()
    assert (call.status, call.json["error"]["code"]) == (502, "engine_unreachable")
    assert _booked(house) == 0
    release(house)
    await held.done()
    await remote.start()


async def test_the_day_s_spending_survives_a_restart(street: Build, remote: Endpoint) -> None:
    house = await street(models(remote.url, usd_per_day=0.0045))
    held = await busy(house)
    remote.behave = says(answer(prompt=20, completion=900))
    assert HEADER in (await house.client.chat("local").done()).headers
    release(house)
    await held.done()
    await house.house.close()
    again = await street(models(remote.url, usd_per_day=0.0045))
    held = await busy(again)
    waiting = again.client.chat("local")
    while not again.house.router.state.models["local"].queue:
        await asyncio.sleep(0)
    release(again)
    for call in (held, waiting):
        assert HEADER not in (await call.done()).headers


async def test_a_private_key_s_requests_wait(street: Build, remote: Endpoint) -> None:
    house = await street(models(remote.url))
    _, private = house.house.keys.create("hospital", "user", private=True)
    _, other = house.house.keys.create("other", "admin")
    house.client.headers["authorization"] = f"Bearer {other}"
    held = await busy(house)
    body = {"model": "local", "messages": [{"role": "user", "content": "hi"}]}
    call = house.client.begin(
        "POST", "/v1/chat/completions", body, {"authorization": f"Bearer {private}"}
    )
    while not house.house.router.state.models["local"].queue:
        await asyncio.sleep(0)
    assert (await house.client.chat("local").done()).headers[HEADER] == "cloud"
    assert len(remote.posts) == 1
    release(house)
    answered = await call.done()
    assert (answered.status, answered.headers.get(HEADER)) == (200, None)
    await held.done()
    assert len(remote.posts) == 1


async def test_what_the_other_does_not_honour_waits(street: Build, remote: Endpoint) -> None:
    house = await street(models(remote.url))
    held = await busy(house)
    call = house.client.chat("local", top_k=5)
    while not house.house.router.state.models["local"].queue:
        await asyncio.sleep(0)
    release(house)
    for each in (held, call):
        assert HEADER not in (await each.done()).headers
    assert remote.posts == []


async def test_to_a_model_without_a_price_there_is_nothing_to_count(
    street: Build, remote: Endpoint
) -> None:
    house = await street(models(remote.url, usd_per_day=None))
    held = await busy(house)
    assert (await house.client.chat("local").done()).headers[HEADER] == "cloud"
    assert not (house.settings.data_dir / "overflow.json").exists()
    release(house)
    await held.done()


WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"to": "clod"}, {}, "did you mean 'cloud'"),
    ({"to": "local"}, {}, "the model itself"),
    ({"to": "alias"}, {}, "the model itself"),
    ({"queue": 1}, {}, "has no to"),
    ({"to": "cloud", "queue": -1}, {}, "at least 0"),
    ({"to": "cloud", "usd_per_day": 0}, {}, "more than none"),
    ({"to": "cloud", "usd_per_day": "nan"}, {}, "more than none"),
    ({"to": "cloud", "usd_per_day": "inf"}, {}, "more than none"),
    ({"to": "cloud", "usd_a_day": 1}, {}, "did you mean 'usd_per_day'"),
    ({"to": "cloud", "usd_per_day": 1}, {}, "nobody knows what 'cloud' costs"),
    ({"to": "cloud"}, {"usd_per_mtok_in": 1, "usd_per_mtok_out": 1, "context": 9}, "costs money"),
    ({"to": "cloud", "usd_per_day": 1}, {"usd_per_mtok_in": 1, "usd_per_mtok_out": 1},
     "the model's context"),
]  # fmt: skip


@pytest.mark.parametrize(("overflow", "options", "says"), WRONG, ids=[w[2] for w in WRONG])
async def test_a_wrong_overflow_is_refused_before_anything_starts(
    street: Build, overflow: dict[str, Any], options: dict[str, Any], says: str
) -> None:
    local = {"ref": "fake:m", "engine": "fake", "aliases": ["alias"], "overflow": overflow}
    cloud = remote_model("http://127.0.0.1:1/v1", **options)
    with pytest.raises(ConfigError) as caught:
        await street({"local": local, "cloud": cloud})
    assert says in str(caught.value)


async def test_private_models_and_chains_are_refused(street: Build) -> None:
    cloud = remote_model("http://127.0.0.1:1/v1")
    local = {"ref": "fake:m", "engine": "fake", "overflow": {"to": "cloud"}}
    with pytest.raises(ConfigError, match="private model"):
        await street({"local": {**local, "private": True}, "cloud": cloud})
    with pytest.raises(ConfigError, match="overflows too"):
        await street({"local": {**local, "overflow": {"to": "b"}}, "b": local, "cloud": cloud})


def test_the_configuration_s_own_check_refuses_it_too(tmp_path: Path) -> None:
    file = tmp_path / "pilotlight.yaml"
    file.write_text(
        "models:\n"
        "  local: {ref: 'openai:a', engine: openai, overflow: {to: cloud, usd_per_day: 1}}\n"
        "  cloud: {ref: 'openai:b', engine: openai}\n"
    )
    result = CliRunner().invoke(cli, ["config", "check", str(file)])
    assert result.exit_code == 2
    assert "nobody knows what 'cloud' costs" in result.stderr
