"""Things that happen at the same moment: each was a defect found by review."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pilotlight import config
from pilotlight.engines.base import Launch
from pilotlight.errors import EngineMissingError, EngineStartError
from pilotlight.fleet.local import LocalFleet
from pilotlight.gateway.assembly import build
from pilotlight.testing import FakeEngine, FakeStore

from .asgi import Client, turn
from .conftest import Build
from .house import MACHINE


@pytest.mark.parametrize("turns", range(30))
async def test_leaving_as_the_model_becomes_ready_costs_nobody_else(
    street: Build, turns: int
) -> None:
    """The grant fell on a place whose client had just left, and broke the router's turn."""
    s = await street()
    s.fleet.hold("load")
    leaver, stayer = s.client.chat(), s.client.chat()
    process = await s.fleet.launched(1)
    await process.reached("load")
    process.release("load")
    for _ in range(turns):
        await asyncio.sleep(0)
    leaver.leave()
    await stayer.done()
    assert stayer.status == 200
    await leaver.done()
    assert await s.metric("pilotlight_in_flight", model="m", replica="m-1") == 0


async def test_leaving_as_the_server_drains(street: Build) -> None:
    s = await street()
    s.fleet.hold("load")
    call = s.client.chat()
    process = await s.fleet.launched(1)
    call.task.cancel()
    s.house.router.drain()
    await asyncio.gather(call.task, return_exceptions=True)
    await asyncio.wait_for(s.house.router.quiet(), 5)
    assert not process.alive


async def test_a_client_that_does_not_read_is_cut_off_and_the_engine_lives(
    street: Build,
) -> None:
    """It held its slot, and the engine it had left with nothing to do was called stalled."""
    s = await street({"m": {"stall": "40s", "keep_alive": "forever"}}, send_timeout="60s")
    call = s.client.chat(stream=True, max_tokens=8)
    stuck = asyncio.Event()

    async def never(message: object) -> None:
        stuck.set()
        await asyncio.Event().wait()

    call.block(never)
    await stuck.wait()
    await s.clock.run_for(50)
    assert s.process.alive, "the engine owed nothing"
    assert s.process is s.fleet.processes[0]
    await s.clock.run_for(60)
    await call.done()
    assert await s.metric("pilotlight_in_flight", model="m", replica="m-1") == 0
    assert await s.metric("pilotlight_cancelled_total", model="m") == 1
    assert s.process.alive


async def test_an_unload_that_never_ends_is_given_up(street: Build) -> None:
    s = await street({"m": {"sleep_after": "10s", "keep_alive": "1h", "load_timeout": "30s"}})
    await s.client.chat().done()
    s.process.hold("unload")
    await s.clock.run_for(60)
    assert not s.fleet.processes[0].alive
    assert (await s.client.chat().done()).status == 200


async def test_a_standby_that_dies_is_replaced_but_not_for_ever(street: Build) -> None:
    s = await street({"m": {"standby": 1}})
    for number in (1, 2):
        (await s.fleet.launched(number)).kill()
        await turn()
        assert len(s.fleet.processes) == number + 1
    (await s.fleet.launched(3)).kill()
    await turn()
    assert len(s.fleet.processes) == 3, "it would die for ever"


async def test_a_standby_taken_by_a_load_that_is_stopped_is_replaced(street: Build) -> None:
    s = await street({"m": {"standby": 1}})
    s.process.hold("load")
    call = s.client.chat()
    await s.process.reached("load")
    call.leave()
    await turn()
    await s.client.post("/pilotlight/v1/stop", {"model": "m"})
    await turn()
    assert len(s.fleet.alive) == 1
    assert s.fleet.alive[0] is not s.fleet.processes[0]


async def test_a_start_whose_only_client_leaves_before_a_token_ends_its_trace(
    street: Build,
) -> None:
    s = await street({"m": {"standby": 1}})
    s.process.hold("request")
    call = s.client.chat()
    await s.process.reached("request")  # the canary
    s.process.release("request")
    s.process.hold("token:1")
    await s.process.reached("token:1")
    call.leave()
    s.process.release("token:1")
    await turn()
    starts = (await s.client.get("/pilotlight/v1/cold-starts")).json["cold_starts"]
    assert [start["outcome"] for start in starts] in (["unserved"], ["ready"], ["served"])
    assert len(s.fleet.alive) == 2, "the standby is replaced"


async def test_an_engine_that_lives_but_no_longer_answers_is_ended(street: Build) -> None:
    """Its broken answer made it suspect, and nobody ever decided about it."""
    s = await street({"m": {"stall": "20s"}})
    await s.client.chat().done()
    process = s.process
    process.hold("token:2")
    call = s.client.chat(stream=True)
    await process.reached("token:2", times=2)
    process.hold("request")
    process.exchanges[-1].break_off()
    await call.done()
    assert call.events[-1]["error"]["code"] == "engine_crashed"
    waits = s.client.chat()
    await s.clock.run_for(60)
    assert not process.alive
    await waits.done()
    assert waits.status == 200


async def test_a_program_that_comes_back_is_started(tmp_path: Path) -> None:
    """A launch that failed left its seat behind, and the next one fell over it."""
    missing = True

    class Fickle(FakeEngine):
        def command(self, seat, job):  # type: ignore[no-untyped-def]
            if missing:
                raise EngineMissingError("the program is gone", hint="bring it back")
            return super().command(seat, job)

    file = tmp_path / "p.yaml"
    file.write_text(
        f"data_dir: {tmp_path}\nmodels:\n  m: {{ref: 'fake:m', engine: fake, max_crashes: 1}}\n"
    )
    fleet = LocalFleet(tmp_path / "logs")
    house = build(
        config.load(file, environ={}),
        MACHINE,
        fleet,
        factories={"fake": lambda settings, machine: Fickle()},
        store=FakeStore(),
    )
    client = Client(house.app)
    try:
        refused = await client.chat().done()
        assert "the program is gone" in refused.json["error"]["message"]
        missing = False
        loaded = await client.post("/pilotlight/v1/load", {"model": "m"})
        assert loaded.status == 200
    finally:
        await house.close()


async def test_a_program_that_cannot_be_run_leaves_no_seat(tmp_path: Path) -> None:
    fleet = LocalFleet(tmp_path)
    try:
        seat = fleet.seat("m-1")
        with pytest.raises(EngineStartError, match="nowhere"):
            await fleet.launch(Launch(("/nowhere/at/all",), seat))
        assert not seat.directory.exists()
    finally:
        await fleet.close()


async def test_the_log_of_a_running_engine_is_kept(tmp_path: Path) -> None:
    fleet = LocalFleet(tmp_path)
    try:
        quiet = await fleet.launch(
            Launch(("/bin/sh", "-c", "echo I am here; exec sleep 60"), fleet.seat("quiet"))
        )
        while "here" not in quiet.last_words():
            await asyncio.sleep(0.01)
        for number in range(30):
            done = await fleet.launch(Launch(("/bin/true",), fleet.seat(f"other-{number}")))
            await done.wait()
        assert "I am here" in quiet.last_words()
        assert len(list(tmp_path.glob("*.log"))) <= 22
    finally:
        await fleet.close()


async def test_standbys_take_their_memory_off_the_top(street: Build) -> None:
    s = await street({"m": {"standby": 2}})
    assert await s.metric("pilotlight_memory_bytes", kind="capacity") < 2**30


async def test_heavy_standbys_take_what_their_engine_says(
    street: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeEngine, "parked_bytes", 300 * 2**20, raising=False)
    s = await street({"m": {"standby": 2}})
    capacity_bytes = await s.metric("pilotlight_memory_bytes", kind="capacity")
    assert capacity_bytes == 2**30 - 2 * 300 * 2**20
