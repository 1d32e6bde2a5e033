"""A model's header decides about memory while its weights are still on their way."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.gguf_lora import write, zeros
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.router.foresight import Foresight

from .asgi import turn
from .conftest import Build
from .house import Street


@pytest.fixture
def beginning(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf.partial"
    write(path, {"general.architecture": "llama"}, {"blk.0.w.weight": zeros(64, 1024)})
    return path


async def asked(street: Build, beginning: Path | None, **options: object) -> Street:
    """A house of which one request waits while its model is fetched."""
    s = await street({"m": {"options": options}}, absent=["m"])
    s.store.beginning = beginning
    s.store.hold_back("m")
    return s


async def test_the_process_is_up_before_the_last_byte(street: Build, beginning: Path) -> None:
    s = await asked(street, beginning)
    call = s.client.chat()
    await s.store.reached("m")
    process = await s.fleet.launched(1)
    await turn()
    assert process.alive
    assert call.status is None
    assert "loaded" not in process.last_words()
    s.store.release("m")
    assert (await call.done()).status == 200
    assert len(s.fleet.processes) == 1
    [start] = (await s.client.get("/pilotlight/v1/cold-starts")).json["cold_starts"]
    names = [phase["name"] for phase in start["phases"]]
    assert names == [
        "fetch", "header", "claim", "process_start", "bytes", "load", "warm_up", "first_token",
    ]  # fmt: skip


async def test_an_engine_that_needs_the_file_starts_with_the_last_byte(
    street: Build, beginning: Path
) -> None:
    s = await asked(street, beginning, standby=False)
    call = s.client.chat()
    await s.store.reached("m")
    await turn()
    assert s.fleet.processes == []
    s.store.release("m")
    assert (await call.done()).status == 200


async def test_what_can_never_fit_is_refused_before_the_rest_is_fetched(
    street: Build, beginning: Path
) -> None:
    s = await asked(street, beginning, ram_bytes=2 * 2**30)
    answer = await s.client.chat().done()
    assert answer.status == 507
    assert "it would fit" in answer.json["error"]["message"] or answer.json["error"]["code"]
    s.store.release("m")
    await turn()


async def test_a_fetch_that_fails_after_its_header_is_no_crash(
    street: Build, beginning: Path
) -> None:
    s = await asked(street, beginning)
    call = s.client.chat()
    await s.store.reached("m")
    await s.fleet.launched(1)
    s.store.fail = "the cable was cut"
    s.store.release("m")
    refused = await call.done()
    assert (refused.status, refused.json["error"]["code"]) == (503, "source_error")
    await turn()
    assert s.fleet.alive == []
    model = (await s.client.get("/pilotlight/v1/ps")).json["models"][0]
    assert (model["crashes"], model["replicas"]) == (0, [])
    s.store.fail = None
    again = s.client.chat()
    await s.clock.run_for(2)
    assert (await again.done()).status == 200, again.json


async def test_a_stop_while_bytes_arrive_leaves_no_process(street: Build, beginning: Path) -> None:
    s = await asked(street, beginning)
    call = s.client.chat()
    await s.store.reached("m")
    process = await s.fleet.launched(1)
    await s.client.post("/pilotlight/v1/stop", {"model": "m"})
    await turn()
    assert not process.alive
    call.leave()
    s.store.release("m")
    await turn()


def test_a_header_counts_once_it_ends_within_what_is_right(beginning: Path) -> None:
    told: list[ModelFiles] = []
    ref = ModelRef("fake", "m")
    size = beginning.stat().st_size
    foresight = Foresight(ref, told.append)
    foresight.watch(beginning, 100)
    assert not told
    foresight.watch(beginning, size)
    foresight.watch(beginning, size)
    assert told == [ModelFiles(ref, beginning, size)]


def test_a_hole_is_no_header(tmp_path: Path) -> None:
    path = tmp_path / "holes"
    path.write_bytes(bytes(300_000))
    told: list[ModelFiles] = []
    foresight = Foresight(ModelRef("fake", "m"), told.append)
    for verified in (70_000, 150_000, 300_000):
        foresight.watch(path, verified)
    assert not told


async def test_a_loaded_models_files_are_held_until_it_is_gone(street: Build) -> None:
    s = await street({"m": {"keep_alive": "60s"}})
    assert s.store.held == []
    await s.client.chat().done()
    assert s.store.held == ["m"]
    await s.clock.run_for(61)
    assert s.store.held == []
