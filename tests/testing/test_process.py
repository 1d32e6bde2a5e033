"""The fake process in memory: held, released, killed and looked at by a test."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pilotlight.engines.base import EngineProcess, Exchange, ModelJob
from pilotlight.errors import EngineCrashedError, EngineStartError
from pilotlight.testing import FakeEngine, FakeFleet, FakeProcess, VirtualClock, fake_files, settle

ENGINE = FakeEngine()
CHAT = "/v1/chat/completions"


def job(**options: Any) -> ModelJob:
    return ModelJob("pilot", fake_files("pilot"), ENGINE.options(options))


async def launched(fleet: FakeFleet, work: ModelJob | None = None) -> FakeProcess:
    seat = fleet.seat(f"r{len(fleet.processes)}")
    return await fleet.launch(ENGINE.command(seat, work))


async def loaded(fleet: FakeFleet | None = None, **options: Any) -> FakeProcess:
    process = await launched(fleet or FakeFleet())
    await ENGINE.load(process, job(**options))
    return process


def request(**fields: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": "hi"}], **fields}).encode()


async def read_all(exchange: Exchange) -> tuple[bytes, bool]:
    """What came, and whether it broke off."""
    received = b""
    try:
        while chunk := await exchange.read():
            received += chunk
    except EngineCrashedError:
        return received, True
    return received, False


def test_it_is_an_engine_process() -> None:
    accepts: type[EngineProcess] = FakeProcess
    assert accepts is FakeProcess


async def test_a_load_waits_at_its_gates() -> None:
    fleet = FakeFleet()
    fleet.hold("load:2")
    process = await launched(fleet)
    load = asyncio.create_task(ENGINE.load(process, job(load_steps=3)))
    await process.reached("load:2")
    assert not load.done()
    with pytest.raises(EngineCrashedError, match="no model is loaded"):
        await process.client.open(CHAT, request())
    process.release("load:2")
    await load
    assert (await process.client.open(CHAT, request())).status == 200


async def test_releasing_what_is_not_held_is_a_mistake() -> None:
    process = await launched(FakeFleet())
    with pytest.raises(ValueError, match="'load' is not held"):
        process.release("load")


async def test_a_token_can_be_held_back() -> None:
    process = await loaded()
    process.hold("token:3")
    exchange = await process.client.open(CHAT, request(stream=True))
    await process.reached("token:3")
    assert process.busy_slots == 1
    early = [await exchange.read() for _ in range(3)]  # the role, then two tokens
    reading = asyncio.create_task(exchange.read())
    await settle()
    assert not reading.done()
    process.release("token:3")
    assert b"delta" in await reading
    assert all(b"delta" in chunk for chunk in early)
    _, broken = await read_all(exchange)
    assert not broken
    assert exchange.outcome == "finished"
    assert process.busy_slots == 0


async def test_closing_frees_the_slot() -> None:
    process = await loaded(parallel=1)
    process.hold("token:2")
    first = await process.client.open(CHAT, request(stream=True))
    waiting = asyncio.create_task(process.client.open(CHAT, request(max_tokens=1)))
    await process.reached("request", times=2)
    assert not waiting.done()
    first.close()
    assert (await waiting).status == 200
    assert [exchange.outcome for exchange in process.exchanges] == ["closed", "finished"]
    assert process.open_exchanges == []


async def test_a_client_that_leaves_before_the_headers_frees_its_place() -> None:
    process = await loaded()
    process.hold("request")
    opening = asyncio.create_task(process.client.open(CHAT, request()))
    await process.reached("request")
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    assert process.exchanges[0].outcome == "closed"


async def test_killing_breaks_what_is_open() -> None:
    process = await loaded()
    process.hold("token:2")
    exchange = await process.client.open(CHAT, request(stream=True))
    process.kill()
    _, broken = await read_all(exchange)
    assert broken
    assert exchange.outcome == "broken"
    assert await process.wait() == "signal SIGKILL"
    assert process.memory_bytes() is None
    with pytest.raises(EngineStartError, match="signal SIGKILL"):
        await process.send({"op": "unload"})


async def test_a_kill_while_loading_fails_the_load() -> None:
    fleet = FakeFleet()
    fleet.hold("load")
    process = await launched(fleet)
    load = asyncio.create_task(ENGINE.load(process, job()))
    await process.reached("load")
    process.kill("signal SIGSEGV")
    with pytest.raises(EngineStartError, match="signal SIGSEGV"):
        await load


async def test_crash_after_ends_the_process_in_the_middle() -> None:
    process = await loaded(crash_after=4)
    exchange = await process.client.open(CHAT, request(stream=True))
    received, broken = await read_all(exchange)
    assert broken
    assert received.count(b'"content":"') == 4
    assert await process.wait() == "exit code 1"
    assert "crash_after" in process.last_words()


async def test_an_answer_within_crash_after_survives() -> None:
    process = await loaded(crash_after=4)
    status, _ = await process.client.fetch(CHAT, request(max_tokens=4))
    assert status == 200
    assert process.alive


async def test_a_stalled_answer_makes_no_progress() -> None:
    process = await loaded(stall_after=2)
    exchange = await process.client.open(CHAT, request(stream=True))
    for _ in range(3):
        await exchange.read()
    await settle()
    assert await ENGINE.progress(process) == 2
    await settle()
    assert await ENGINE.progress(process) == 2
    exchange.close()
    await settle()
    assert process.busy_slots == 0


async def test_no_answer_within_the_time_is_no_progress() -> None:
    clock = VirtualClock()
    process = await loaded(FakeFleet(sleep=clock.sleep))
    process.hold("request")
    asking = asyncio.create_task(ENGINE.progress(process))
    await clock.run_for(0.9)
    assert not asking.done()
    await clock.run_for(0.2)
    assert await asking is None


async def test_delays_pass_in_virtual_time() -> None:
    clock = VirtualClock()
    process = await launched(FakeFleet(sleep=clock.sleep))
    load = asyncio.create_task(ENGINE.load(process, job(load_delay_ms=2000, load_steps=2)))
    await clock.run_for(3.9)
    assert not load.done()
    await clock.run_for(0.1)
    await load


async def test_a_process_that_ignores_sigterm_is_killed_after_its_grace() -> None:
    clock = VirtualClock()
    process = await loaded(FakeFleet(sleep=clock.sleep))
    process.hold("stop")
    stopping = asyncio.create_task(process.stop(grace_s=5.0))
    await clock.run_for(4.9)
    assert process.alive
    await clock.run_for(0.2)
    await stopping
    assert await process.wait() == "signal SIGKILL"


async def test_memory_follows_the_model() -> None:
    process = await loaded(ram_bytes=1000, measured_ram_bytes=3000)
    awake = process.memory_bytes()
    await ENGINE.unload(process)
    asleep = process.memory_bytes()
    assert awake is not None
    assert asleep is not None
    assert awake - asleep == 3000
    assert process.peak_memory_bytes() == awake


async def test_one_failed_load_then_a_good_one() -> None:
    process = await launched(FakeFleet())
    process.fail_load = "out of memory"
    with pytest.raises(EngineStartError, match="out of memory"):
        await ENGINE.load(process, job())
    process.fail_load = None
    await ENGINE.load(process, job())
    assert process.alive


async def test_a_fleet_that_cannot_launch() -> None:
    fleet = FakeFleet()
    fleet.fail_launch = "no such program"
    with pytest.raises(EngineStartError, match="no such program"):
        await launched(fleet)
    fleet.fail_launch = None
    arrival = asyncio.create_task(fleet.launched(1))
    process = await launched(fleet)
    assert await arrival is process
    await fleet.close()
    assert fleet.alive == []
