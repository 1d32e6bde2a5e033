"""A model's header decides about memory while its weights are still on their way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adapters.gguf_lora import write, zeros
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.errors import ModelFormatError, StoreError
from pilotlight.router.foresight import Foresight
from pilotlight.router.front import Front
from pilotlight.router.performer import EARLY_S
from pilotlight.testing.engine import FakeEngine
from pilotlight.testing.store import FAKE_DIGEST

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


async def test_a_load_may_be_over_with_the_last_byte(street: Build, beginning: Path) -> None:
    s = await asked(street, beginning, early="loads")
    call = s.client.chat()
    await s.store.reached("m")
    process = await s.fleet.launched(1)
    await turn()
    assert "loaded" in process.last_words()
    assert call.status is None
    assert process.exchanges == [], "not even a canary before all is verified"
    s.store.release("m")
    assert (await call.done()).status == 200
    assert len(s.fleet.processes) == 1
    [start] = (await s.client.get("/pilotlight/v1/cold-starts")).json["cold_starts"]
    names = [phase["name"] for phase in start["phases"]]
    assert names[4:] == ["bytes", "load", "warm_up", "first_token"]


@pytest.mark.parametrize("standby", [0, 1])
@pytest.mark.parametrize("early", ["spoils", "fails"])
async def test_an_early_load_of_no_use_costs_another_process(
    street: Build, beginning: Path, early: str, standby: int
) -> None:
    model = {"options": {"early": early}, "standby": standby}
    s = await street({"m": model}, absent=["m"])
    await turn()
    s.store.beginning = beginning
    s.store.hold_back("m")
    call = s.client.chat()
    await s.store.reached("m")
    s.store.release("m")
    assert (await call.done()).status == 200
    await turn()
    assert [process.alive for process in s.fleet.processes] == [False, True] + standby * [True]


async def test_an_early_load_that_hangs_is_given_up(street: Build, beginning: Path) -> None:
    s = await asked(street, beginning, early="hangs")
    call = s.client.chat()
    await s.store.reached("m")
    s.store.release("m")
    await s.clock.run_for(EARLY_S + 1)
    assert (await call.done()).status == 200
    assert [process.alive for process in s.fleet.processes] == [False, True]


async def test_what_was_loaded_of_bytes_that_were_taken_back_is_not_served(
    street: Build, beginning: Path
) -> None:
    s = await asked(street, beginning, early="loads")
    s.store.takes_back = True
    call = s.client.chat()
    await s.store.reached("m")
    await s.fleet.launched(1)
    s.store.release("m")
    assert (await call.done()).status == 200
    assert [process.alive for process in s.fleet.processes] == [False, True]


@pytest.mark.parametrize("failure", [None, "the cable was cut"])
async def test_a_fetch_may_be_over_before_the_process_is_up(
    street: Build, beginning: Path, failure: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = await asked(street, beginning)
    launch, may_start = s.fleet.launch, asyncio.Event()

    async def slow(what: Any) -> Any:
        await may_start.wait()
        return await launch(what)

    monkeypatch.setattr(s.fleet, "launch", slow)
    call = s.client.chat()
    await s.store.reached("m")
    await turn()
    s.store.fail = failure
    s.store.release("m")
    await turn()
    may_start.set()
    assert (await call.done()).status == (503 if failure else 200)
    await turn()
    model = (await s.client.get("/pilotlight/v1/ps")).json["models"][0]
    assert model["crashes"] == 0
    assert len(s.fleet.alive) == (0 if failure else 1)


async def test_a_model_that_cannot_be_asked_yet_is_loaded_whole(
    street: Build, beginning: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def can_load_early(self: FakeEngine, job: object) -> bool:
        raise ModelFormatError("its header was taken back")

    monkeypatch.setattr(FakeEngine, "can_load_early", can_load_early)
    s = await asked(street, beginning)
    call = s.client.chat()
    await s.store.reached("m")
    await s.fleet.launched(1)
    s.store.release("m")
    assert (await call.done()).status == 200
    assert len(s.fleet.processes) == 1


@pytest.mark.parametrize("absent", [["m"], ["m", "tone"]])
async def test_adapters_cost_no_second_process(
    street: Build, beginning: Path, absent: list[str]
) -> None:
    """Those that are here are loaded early too; for others the load waits."""
    options = {"early": "loads", "lora": "live"}
    model = {"options": options, "adapters": {"tone": "fake:tone"}}
    s = await street({"m": model}, absent=absent)
    s.store.beginning = beginning
    s.store.hold_back("m")
    call = s.client.chat()
    await s.store.reached("m")
    process = await s.fleet.launched(1)
    await turn()
    assert ("loaded" in process.last_words()) == ("tone" not in absent)
    s.store.release("m")
    assert (await call.done()).status == 200
    assert len(s.fleet.processes) == 1
    assert (await s.client.chat(model="m:tone").done()).status == 200


async def test_a_download_of_hours_is_no_load(street: Build, beginning: Path) -> None:
    """What a load takes is remembered, and clients of the next one are told to wait so long."""
    s = await asked(street, beginning)
    call = s.client.chat()
    await s.store.reached("m")
    await s.clock.run_for(3 * 3600)
    call.leave()
    s.store.release("m")
    await turn()
    assert (await s.client.chat().done()).status == 200
    served = s.house.catalogue.served("m")
    assert served is not None
    assert served.measured.load_s is not None
    assert served.measured.load_s < 60


async def test_files_that_were_removed_since_are_fetched_again(
    street: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = await street({"m": {"standby": 1}})
    hold, tries = s.store.hold, []

    def gone_at_first(files: ModelFiles) -> Any:
        tries.append(files)
        if len(tries) == 1:
            raise StoreError("it was removed from the store")
        return hold(files)

    monkeypatch.setattr(s.store, "hold", gone_at_first)
    assert (await s.client.chat().done()).status == 200
    assert len(tries) == 2
    await turn()
    assert len(s.fleet.alive) == 2, "the replica's and the standby; the first try's is gone"


@pytest.mark.parametrize("digest", [FAKE_DIGEST, "sha256:" + "00" * 32])
async def test_what_is_here_already_is_held_to_its_digest_too(street: Build, digest: str) -> None:
    s = await street({"m": {"digest": digest}})
    answer = await s.client.chat().done()
    if digest == FAKE_DIGEST:
        assert answer.status == 200
        return
    assert answer.json["error"]["code"] == "digest_mismatch"
    assert s.fleet.processes == []


async def test_so_are_adapters(street: Build) -> None:
    adapters = {"tone": {"ref": "fake:tone", "digest": "sha256:" + "00" * 32}}
    s = await street({"m": {"options": {"lora": "live"}, "adapters": adapters}})
    assert (await s.client.chat().done()).status == 200
    assert (await s.client.chat(model="m:tone").done()).status == 400


async def test_files_that_cannot_be_held_are_given_up(
    street: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = await street({"m": {}})

    def gone(files: ModelFiles) -> Any:
        raise StoreError("it can't be held")

    monkeypatch.setattr(s.store, "hold", gone)
    call = s.client.chat()
    await s.clock.run_for(60)
    answer = await call.done()
    assert answer.status == 503
    assert "it can't be held" in answer.json["error"]["message"]
    assert s.fleet.alive == []


def test_another_file_is_not_the_one_that_was_watched(beginning: Path, tmp_path: Path) -> None:
    front, renamed, other = Front(), tmp_path / "m.gguf", tmp_path / "other.gguf"
    front.watch(beginning, 100)
    other.write_bytes(beginning.read_bytes())
    beginning.rename(renamed)
    assert front.became(renamed)
    assert not front.became(other)
    assert not front.became(tmp_path / "gone")


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


def test_a_directory_has_its_headers_when_it_is_told_of(tmp_path: Path) -> None:
    told: list[ModelFiles] = []
    ref = ModelRef("fake", "m")
    Foresight(ref, told.append).watch(tmp_path, 1_000)
    assert told == [ModelFiles(ref, tmp_path, 1_000)]


async def test_a_loaded_models_files_are_held_until_it_is_gone(street: Build) -> None:
    s = await street({"m": {"keep_alive": "60s"}})
    assert s.store.held == []
    await s.client.chat().done()
    assert s.store.held == ["m"]
    await s.clock.run_for(61)
    assert s.store.held == []
