"""The connection itself: clients that pipeline, dawdle, flood or speak HTTP/1.0."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from pilotlight.gateway import protocol
from pilotlight.gateway.protocol import EdgeProtocol

from .conftest import Build
from .wire import chat, eventually, wired


@pytest.mark.parametrize("together", [True, False])
async def test_a_client_that_pipelines_and_leaves_frees_its_slot(
    street: Build, together: bool
) -> None:
    s = await street()
    await s.client.chat().done()
    s.process.hold("token:2")
    async with wired(s) as wire:
        client = await wire.dial()
        client.send(chat(), chat() if together else b"")
        await s.process.reached("token:2")
        if not together:
            client.send(chat())
        await eventually(lambda: s.process.busy_slots == 1)
        await client.leave()
        await eventually(lambda: s.process.busy_slots == 0)
    assert await s.metric("pilotlight_cancelled_total", model="m") == 1


async def test_pipelined_requests_are_answered_in_order(street: Build) -> None:
    s = await street()
    async with wired(s) as wire:
        client = await wire.dial()
        client.send(*[chat(max_tokens=n) for n in range(1, 31)])
        for n in range(1, 31):
            status, answer = await client.answer()
            assert status == 200
            assert answer["usage"]["completion_tokens"] == min(n, 16)


FLOODS = {
    "one header": (b"GET /health HTTP/1.1\r\nx: ", b"a" * 1024),
    "many headers": (b"GET /health HTTP/1.1\r\n", b"x: " + b"a" * 1024 + b"\r\n"),
    "the address": (b"GET /", b"a" * 1024),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_head_without_end_is_refused(street: Build, flood: str) -> None:
    s = await street()
    begin, more = FLOODS[flood]
    async with wired(s) as wire:
        client = await wire.dial()
        client.send(begin, more * 600)
        assert (await client.rest()).startswith(b"HTTP/1.1 431 ")


BODIES = {
    "an extension": (b"1;x=", b"a" * 1024),
    "trailers": (b"1\r\n{\r\n0\r\n", b"x: " + b"a" * 1024 + b"\r\n"),
}


@pytest.mark.parametrize("kind", BODIES)
async def test_what_a_chunked_body_carries_besides_is_bounded_too(street: Build, kind: str) -> None:
    s = await street()
    begin, more = BODIES[kind]
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n"
    )
    async with wired(s) as wire:
        client = await wire.dial()
        client.send(head, b"\r\n", begin)
        client.send(more * 600)
        assert await client.rest() == b""


async def test_a_trailer_is_no_header(street: Build) -> None:
    s = await street()
    head, _, body = chat().replace(b"content-length", b"x-was").partition(b"\r\n\r\n")
    async with wired(s) as wire:
        client = await wire.dial()
        client.send(head, b"\r\ntransfer-encoding: chunked\r\n\r\n", b"%x\r\n" % len(body), body)
        client.send(b"\r\n0\r\nhost: evil.example\r\n\r\n")
        status, _ = await client.answer()
    assert status == 200


async def test_a_large_body_is_no_overhead(street: Build) -> None:
    s = await street()
    long = "word " * 100_000
    async with wired(s) as wire:
        client = await wire.dial()
        client.send(chat(messages=[{"role": "user", "content": long}]))
        status, answer = await client.answer()
    assert (status, answer["error"]["code"]) == (400, "context_length_exceeded")


async def test_a_head_that_does_not_come_ends_the_connection(
    street: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EdgeProtocol, "head_s", 0.05)
    s = await street()
    async with wired(s) as wire:
        silent, slow = await wire.dial(), await wire.dial()
        slow.send(b"GET /health HT")
        assert await silent.rest() == b""
        assert await slow.rest() == b""
        second = await wire.dial()
        second.send(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (await second.answer())[0] == 200
        second.send(b"GET")
        assert await second.rest() == b""


async def test_a_late_second_head_does_not_cut_the_answer_to_the_first(
    street: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EdgeProtocol, "head_s", 0.02)
    s = await street()
    await s.client.chat().done()
    s.process.hold("token:2")
    async with wired(s) as wire:
        client, clock = await wire.dial(), await wire.dial()
        client.send(chat(), b"GET")
        await s.process.reached("token:2")
        assert await clock.rest() == b"", "its time is up, so the other's is too"
        s.process.release("token:2")
        assert (await client.answer())[0] == 200


async def test_a_client_that_does_not_read_does_not_hold_up_the_end(
    street: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(protocol, "LAST_FLUSH_S", 0.05)
    s = await street({"m": {"options": {"words": 200_000, "context": 400_000}}})
    async with wired(s) as wire:
        client = await wire.dial()
        client.send(chat(stream=True, max_tokens=200_000))
        await client.until(b"data: ")
        await eventually(lambda: s.process.busy_slots == 1)
        wire.server.should_exit = True
        async with asyncio.timeout(4):  # before uvicorn would cancel the request
            await wire.serving
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert await s.metric("pilotlight_cancelled_total", model="m") == 1


async def test_http_1_0_gets_a_stream_that_ends_with_the_connection(street: Build) -> None:
    s = await street()
    async with wired(s) as wire:
        client = await wire.dial()
        client.send(chat("1.0", stream=True))
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body.startswith(b"data: {")
    assert body.endswith(b"data: [DONE]\n\n")


async def test_http_1_0_gets_a_whole_answer_with_its_length(street: Build) -> None:
    s = await street()
    async with wired(s) as wire:
        client = await wire.dial()
        client.send(chat("1.0"))
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head
    assert json.loads(body)["choices"]


async def test_head_is_answered_with_a_gets_headers_alone(street: Build) -> None:
    s = await street()
    async with wired(s) as wire:
        client = await wire.dial()
        client.send(b"HEAD /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert body == b""
    whole = await s.client.get("/v1/models")
    assert f"content-length: {len(whole.body)}".encode() in head
