"""The Unix-socket client against servers that behave and servers that don't."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pilotlight.errors import EngineCrashedError
from pilotlight.fleet import client as client_module
from pilotlight.fleet.client import SocketClient

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def server(path: Path, serve: Serve) -> AsyncIterator[SocketClient]:
    """A client of a server that answers each connection with `serve`."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_unix_server(connected, path)
    client = SocketClient(path, "the-secret")
    try:
        yield client
    finally:
        await client.close()
        listening.close()
        await listening.wait_closed()


async def request(reader: asyncio.StreamReader) -> bytes:
    """The head of one request; its body is read and dropped."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))
    return head


async def test_a_connection_is_reused_and_the_secret_is_sent(tmp_path: Path) -> None:
    heads: list[bytes] = []
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            heads.append(await request(reader))
            writer.write(OK)

    async with server(tmp_path / "s", serve) as client:
        assert await client.fetch("/a", b"{}") == (200, b"ok")
        assert await client.fetch("/a") == (200, b"ok")
    assert connections == 1
    assert heads[0].startswith(b"POST /a ")
    assert heads[1].startswith(b"GET /a ")
    assert all(b"Authorization: Bearer the-secret" in head for head in heads)


async def test_what_has_arrived_comes_as_one(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(CHUNKED + b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
        await writer.drain()

    async with server(tmp_path / "s", serve) as client:
        exchange = await client.open("/a", b"{}")
        assert await exchange.read() == b"onetwo"
        assert await exchange.read() == b""


async def test_a_stale_connection_is_replaced_without_the_caller_noticing(tmp_path: Path) -> None:
    answered = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        await request(reader)
        writer.write(OK)  # keep-alive by its headers, and closed all the same
        answered += 1

    async with server(tmp_path / "s", serve) as client:
        for _ in range(3):
            assert await client.fetch("/a", b"{}") == (200, b"ok")
    assert answered == 3


async def test_who_leaves_as_the_answer_is_whole_lets_its_connection_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is free for the next request by then, whose work would be cut off and done twice."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await request(reader)
            writer.write(OK)

    async with server(tmp_path / "s", serve) as client:
        asking = asyncio.ensure_future(client.open("/a", b"{}"))
        finish = client_module._Exchange.finish

        def finish_and_leave(exchange: client_module._Exchange) -> None:
            finish(exchange)
            asking.cancel()

        with monkeypatch.context() as patched:
            patched.setattr(client_module._Exchange, "finish", finish_and_leave)
            with pytest.raises(asyncio.CancelledError):
                await asking
        assert await client.fetch("/a", b"{}") == (200, b"ok")
    assert connections == 1


async def test_an_answer_cut_off_is_a_crash_not_an_end(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(CHUNKED + b"3\r\none\r\n")
        await writer.drain()

    async with server(tmp_path / "s", serve) as client:
        exchange = await client.open("/a", b"{}")
        assert await exchange.read() == b"one"
        with pytest.raises(EngineCrashedError):
            await exchange.read()


async def test_a_request_that_may_have_done_work_is_not_repeated(tmp_path: Path) -> None:
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await request(reader)
        requests += 1

    async with server(tmp_path / "s", serve) as client:
        with pytest.raises(EngineCrashedError):
            await client.open("/a", b"{}")
    assert requests == 1


async def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(EngineCrashedError, match="nobody listens"):
        await SocketClient(tmp_path / "none", "x").open("/a", b"{}")


async def test_what_is_no_http_is_said_to_be(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"hello?\r\n\r\n")
        await writer.drain()

    async with server(tmp_path / "s", serve) as client:
        with pytest.raises(EngineCrashedError, match="HTTP"):
            await client.open("/a", b"{}")


async def test_closing_an_answer_closes_its_connection(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(CHUNKED + b"3\r\none\r\n")
        await writer.drain()
        assert await reader.read() == b""
        left.set()

    async with server(tmp_path / "s", serve) as client:
        exchange = await client.open("/a", b"{}")
        await exchange.read()
        exchange.close()
        await asyncio.wait_for(left.wait(), 5)


async def test_a_slow_reader_makes_the_engine_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "BUFFER_BYTES", 64 * 1024)
    sent = 0
    piece = b"x" * 65536
    pieces = 400

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await request(reader)
        writer.write(CHUNKED)
        for _ in range(pieces):
            writer.write(b"10000\r\n" + piece + b"\r\n")
            await writer.drain()
            sent += 1
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async with server(tmp_path / "s", serve) as client:
        exchange = await client.open("/a", b"{}")
        for _ in range(2000):
            await asyncio.sleep(0)
        held = sent
        assert held < pieces / 2, "the engine wrote on although nobody read"
        size = 0
        while chunk := await exchange.read():
            size += len(chunk)
        assert size == pieces * len(piece)


async def test_fetch_has_a_bound(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        await reader.read()

    async with server(tmp_path / "s", serve) as client:
        with pytest.raises(TimeoutError):
            await client.fetch("/a", b"{}", timeout_s=0.01)
