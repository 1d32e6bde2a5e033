"""Faults of a class that would hang the next request, or whoever waits for the host's word."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from pilotlight.engines.base import EngineProcess
from pilotlight.engines.python.engine import PythonEngine
from pilotlight.errors import EngineError, EngineStartError
from pilotlight.fleet.local import LocalFleet

from .conftest import job, predict, running

FAULTY = Path(__file__).with_name("faulty.py")
CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hi"}]


async def begun(process: EngineProcess, **message: object) -> asyncio.Task[tuple[int, bytes]]:
    body = json.dumps({"messages": [{**HELLO[0], **message}], "stream": True}).encode()
    return asyncio.ensure_future(process.client.fetch(CHAT, body, timeout_s=20.0))


async def test_a_generator_is_closed_before_the_next_one_begins(
    fleet: LocalFleet, tmp_path: Path
) -> None:
    """Its client left during a step that can't be stopped; what it holds is still held."""
    entered, leave = tmp_path / "entered", tmp_path / "leave"
    os.mkfifo(entered)
    os.mkfifo(leave)
    async with running(fleet, job("Locked", FAULTY)) as process:
        leaving = await begun(process, gates=[str(entered), str(leave)])
        with await asyncio.to_thread(entered.open):
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            following = asyncio.ensure_future(predict(process))
            assert await PythonEngine().progress(process) is not None
            with await asyncio.to_thread(leave.open, "w"):
                """It may go."""
        assert await following == "held by nobody else"


async def test_a_class_that_cancels_itself_has_failed(fleet: LocalFleet) -> None:
    async with running(fleet, job("Cancels", FAULTY)) as process:
        status, body = await process.client.fetch("/v1/predict", b"{}", timeout_s=5.0)
        error = PythonEngine().error(status, body)
        assert isinstance(error, EngineError)
        assert "CancelledError" in error.message
        status, stream = await (await begun(process))
        assert b"CancelledError" in stream
        assert await predict(process, well=True) == "well"


async def test_a_generator_that_will_not_end_is_left_when_its_client_leaves(
    fleet: LocalFleet,
) -> None:
    async with running(fleet, job("Deaf", FAULTY)) as process:
        exchange = await process.client.open(
            CHAT, json.dumps({"messages": HELLO, "stream": True}).encode()
        )
        await exchange.read()
        exchange.close()
        # One request at a time: this one waits for the generator's turn to be over.
        status, _ = await process.client.fetch("/v1/predict", b"{}", timeout_s=5.0)
        assert status == 200


async def test_what_fails_around_the_setup_is_a_failed_load(fleet: LocalFleet) -> None:
    with pytest.raises(EngineStartError) as caught:
        async with asyncio.timeout(10), running(fleet, job("Unreachable", FAULTY)):
            pass
    assert "the license is not here" in caught.value.last_words


async def test_a_socket_that_is_gone_already_is_no_reason_to_stay_loaded(fleet: LocalFleet) -> None:
    """From Python 3.13 on asyncio removes it with its server."""
    engine, mine = PythonEngine(), job("Cancels", FAULTY)
    seat = fleet.seat("r1")
    process = await fleet.launch(engine.command(seat, mine))
    await engine.load(process, mine)
    seat.socket.unlink()
    async with asyncio.timeout(10):
        await engine.unload(process)
        await engine.load(process, mine)
    assert await predict(process, well=True) == "well"


@pytest.mark.parametrize(
    ("kind", "says"), [("TooLarge", "signal SIGKILL"), ("NoRoom", "MemoryError: can't allocate")]
)
async def test_a_load_out_of_memory_names_the_next_step(
    fleet: LocalFleet, kind: str, says: str
) -> None:
    with pytest.raises(EngineStartError) as caught:
        async with running(fleet, job(kind, FAULTY)):
            pass
    assert says in caught.value.last_words
    assert "memory" in str(caught.value.hint)
