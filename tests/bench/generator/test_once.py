"""One question: its answer whatever the status, or the reason why there is none."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bench.generator.scripted import Hang, Peer, Request, scripted
from pilotlight.bench.once import ask_once
from pilotlight.errors import ServerUnreachableError


async def test_status_and_body_come_back() -> None:
    async def teapot(request: Request, peer: Peer) -> None:
        peer.whole("418 Teapot", b"short and stout")

    async with scripted(teapot) as server:
        answer = await ask_once(server.target, "POST", "/tokenize", b'{"content": "x"}')
    assert answer == (418, b"short and stout")
    assert server.requests[0].body == {"content": "x"}


async def test_a_get_has_no_body() -> None:
    async def empty(request: Request, peer: Peer) -> None:
        peer.whole("200 OK", b"{}")

    async with scripted(empty) as server:
        assert await ask_once(server.target, "GET", "/v1/models") == (200, b"{}")
    assert server.requests[0].head.startswith("GET /v1/models ")


async def test_a_broken_connection_is_no_answer() -> None:
    async def close(request: Request, peer: Peer) -> None:
        raise Hang

    async with scripted(close) as server:
        with pytest.raises(ServerUnreachableError, match="closed without an answer"):
            await ask_once(server.target, "GET", "/v1/models")


async def test_patience_ends() -> None:
    async def hang(request: Request, peer: Peer) -> None:
        await asyncio.get_running_loop().create_future()

    async with scripted(hang) as server:
        with pytest.raises(ServerUnreachableError, match=r"no answer in 0\.05 s"):
            await ask_once(replace(server.target, timeout_s=0.05), "GET", "/v1/models")


async def test_nobody_there() -> None:
    async with scripted() as server:
        target = server.target
    with pytest.raises(ServerUnreachableError, match="nobody answers"):
        await ask_once(target, "GET", "/v1/models")
