"""The fake as a real program: its channel, its socket, its port, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotlight.engines.base import EngineProcess, ModelJob
from pilotlight.errors import EngineCrashedError, EngineError, EngineStartError
from pilotlight.fleet.local import LocalFleet
from pilotlight.testing import FakeEngine, fake_files

ENGINE = FakeEngine()
CHAT = "/v1/chat/completions"
SERVER = (sys.executable, "-m", "pilotlight.testing.server")


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[LocalFleet]:
    fleet = LocalFleet(tmp_path / "logs")
    yield fleet
    await fleet.close()


async def loaded(fleet: LocalFleet, **options: Any) -> EngineProcess:
    job = ModelJob("pilot", fake_files("pilot"), ENGINE.options(options))
    process = await fleet.launch(ENGINE.command(fleet.seat("r1"), job))
    await ENGINE.load(process, job)
    return process


def request(**fields: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": "hi"}], **fields}).encode()


async def busy_slots(process: EngineProcess) -> int:
    _, body = await process.client.fetch("/slots")
    return sum(slot["is_processing"] for slot in json.loads(body))


async def test_a_client_that_leaves_frees_its_slot(fleet: LocalFleet) -> None:
    process = await loaded(fleet, stall_after=1)
    exchange = await process.client.open(CHAT, request(stream=True))
    await exchange.read()
    assert await busy_slots(process) == 1
    exchange.close()
    async with asyncio.timeout(5):
        while await busy_slots(process):
            pass


async def test_crash_after_breaks_the_stream(fleet: LocalFleet) -> None:
    process = await loaded(fleet, crash_after=3)
    exchange = await process.client.open(CHAT, request(stream=True))
    received = await until_broken(exchange)
    assert received.count(b'"content":"') == 3
    assert await process.wait() == "exit code 1"
    assert "crash_after" in process.last_words()


async def until_broken(exchange: Any) -> bytes:
    received = b""
    try:
        while chunk := await exchange.read():
            received += chunk
    except EngineCrashedError:
        return received
    raise AssertionError("the stream ended by itself")


async def test_it_takes_the_memory_it_says_and_gives_it_back(fleet: LocalFleet) -> None:
    process = await loaded(fleet, ram_bytes=64 * 2**20)
    awake = process.memory_bytes() or 0
    await ENGINE.unload(process)
    asleep = process.memory_bytes() or 0
    assert 60 * 2**20 < awake - asleep < 70 * 2**20


async def test_a_model_that_does_not_sleep_says_so(fleet: LocalFleet) -> None:
    process = await loaded(fleet, sleep=False)
    with pytest.raises(EngineError, match="does not sleep"):
        await ENGINE.unload(process)
    assert (await process.client.fetch(CHAT, request()))[0] == 200


async def test_a_failed_load_can_be_followed_by_a_good_one(fleet: LocalFleet) -> None:
    process = await fleet.launch(ENGINE.command(fleet.seat("r1"), None))
    bad = ModelJob("pilot", fake_files("pilot"), ENGINE.options({"fail_load": "no such model"}))
    with pytest.raises(EngineStartError, match="no such model"):
        await ENGINE.load(process, bad)
    good = ModelJob("pilot", fake_files("pilot"), ENGINE.options({}))
    await ENGINE.load(process, good)
    assert (await process.client.fetch(CHAT, request()))[0] == 200


async def test_events_come_one_by_one(fleet: LocalFleet) -> None:
    """A pause between tokens shows on the wire: no event waits for the next."""
    process = await loaded(fleet, token_delay_ms=20, words=5)
    exchange = await process.client.open(CHAT, request(stream=True))
    reads = []
    while chunk := await exchange.read():
        reads.append(chunk)
    assert len(reads) >= 5


def test_the_end_of_stdin_is_its_end_even_while_loading(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    popen = subprocess.Popen(
        [*SERVER, "--socket", "s"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        env={**os.environ, "FAKE_ENGINE_SECRET": "x"},
        preexec_fn=lambda: os.dup2(write_end, 3, inheritable=True),
        close_fds=False,
    )
    os.close(write_end)
    assert popen.stdin is not None
    with os.fdopen(read_end) as events:
        assert json.loads(events.readline()) == {"event": "parked"}
        params = {"model": "m", "options": {"load_delay_ms": 3_600_000}}
        order = {"op": "load", "params": params}
        popen.stdin.write(json.dumps(order).encode() + b"\n")
        popen.stdin.close()
        assert popen.wait(10) == 0
        assert events.read() == ""


@pytest.fixture
def on_port() -> Iterator[int]:
    """The server as a benchmark's upstream, with a secret."""
    popen = subprocess.Popen(
        [*SERVER, "--port", "0", "--options", '{"words": 3, "ram_bytes": 0}'],
        stdout=subprocess.PIPE,
        env={**os.environ, "FAKE_ENGINE_SECRET": "hush"},
    )
    assert popen.stdout is not None
    with popen.stdout:
        yield int(json.loads(popen.stdout.readline())["port"])
    popen.send_signal(signal.SIGTERM)
    popen.wait(10)


async def exchange_raw(port: int, *requests: bytes) -> bytes:
    """All requests at once on one connection, whose last one closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(requests))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def post(body: bytes, *headers: str) -> bytes:
    lines = [f"POST {CHAT} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_pipelined_requests_are_answered_in_order(on_port: int) -> None:
    key = "Authorization: Bearer hush"
    answer = await exchange_raw(
        on_port,
        post(request(stream=True), key),
        post(request(), key, "Connection: close"),
    )
    stream, whole = answer.split(b"0\r\n\r\n", 1)
    assert stream.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream")
    assert b"data: [DONE]" in stream
    assert b"chat.completion" in whole


async def test_the_secret_is_asked_for_everywhere_but_at_health(on_port: int) -> None:
    refused = await exchange_raw(on_port, post(request(), "Connection: close"))
    assert refused.startswith(b"HTTP/1.1 401 Unauthorized")
    get = b"GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert (await exchange_raw(on_port, get % b"slots")).startswith(b"HTTP/1.1 401")
    assert (await exchange_raw(on_port, get % b"health")).startswith(b"HTTP/1.1 200")


async def test_what_is_no_http_is_refused(on_port: int) -> None:
    assert (await exchange_raw(on_port, b"\x16\x03\x01\r\n\r\n")).startswith(b"HTTP/1.1 400")


def test_a_wrong_option_ends_it_with_a_word() -> None:
    done = subprocess.run(
        [*SERVER, "--port", "0", "--options", '{"wrds": 1}'], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "did you mean 'words'" in done.stderr
