"""What becomes of a system prompt whose engine doesn't do what it says; scripted, no model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pilotlight.core import ModelFiles
from pilotlight.engines.base import EngineClient, EngineProcess, Exchange, ModelJob, SystemPrompts
from pilotlight.engines.llamacpp.wheel import WheelEngine
from pilotlight.errors import EngineCrashedError, EngineError
from pilotlight.machine import Machine

TEMPLATE = "[system] {system} [user] {user}"


class Program:
    """Answers as llama.cpp does, a token a character, and saves tokens for a state.

    It is its own process and client: nothing of a real one's is needed here.
    """

    def __init__(self, directory: Path, template: str = TEMPLATE) -> None:
        self.directory = directory
        self.template = template
        self.slots: dict[int, list[int]] = {}
        self.crashes_at: str | None = None
        self.forgets = False
        self.saves = 0

    @property
    def client(self) -> EngineClient:
        return self

    async def fetch(
        self, path: str, body: bytes | None = None, *, timeout_s: float = 10.0
    ) -> tuple[int, bytes]:
        url = urlsplit(path)
        what = parse_qs(url.query).get("action", [url.path])[0]
        if what == self.crashes_at:
            raise EngineCrashedError("it is gone")
        answers = {
            "/apply-template": self._render,
            "/tokenize": self._tokenize,
            "/completion": self._complete,
            "save": self._save,
            "restore": self._restore,
        }
        slot = int(url.path.split("/")[2]) if "slots" in url.path else 0
        return 200, json.dumps(answers[what](json.loads(body or b"{}"), slot)).encode()

    def _render(self, body: Mapping[str, Any], slot: int) -> dict[str, Any]:
        system, user = (message["content"] for message in body["messages"])
        return {"prompt": self.template.format(system=system, user=user)}

    def _tokenize(self, body: Mapping[str, Any], slot: int) -> dict[str, Any]:
        return {"tokens": [ord(character) for character in body["content"]]}

    def _complete(self, body: Mapping[str, Any], slot: int) -> dict[str, Any]:
        prompt, had = body["prompt"], self.slots.get(body["id_slot"], [])
        pairs = zip(prompt, had, strict=False)
        count = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
        self.slots[body["id_slot"]] = prompt
        return {"timings": {"cache_n": 0 if self.forgets else count}}

    def _save(self, body: Mapping[str, Any], slot: int) -> dict[str, Any]:
        self.saves += 1
        (self.directory / body["filename"]).write_text(json.dumps(self.slots[slot]))
        return {"n_saved": len(self.slots[slot])}

    def _restore(self, body: Mapping[str, Any], slot: int) -> dict[str, Any]:
        self.slots[slot] = json.loads((self.directory / body["filename"]).read_text())
        return {"n_restored": len(self.slots[slot])}

    async def open(self, path: str, body: bytes | None = None) -> Exchange:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    pid = port = None
    alive = True

    async def send(self, message: Mapping[str, Any]) -> None:
        raise NotImplementedError

    async def receive(self) -> dict[str, Any]:
        raise NotImplementedError

    async def wait(self) -> str:
        raise NotImplementedError

    async def stop(self, grace_s: float = 5.0) -> None:
        raise NotImplementedError

    def last_words(self, lines: int = 5) -> str:
        raise NotImplementedError

    def memory_bytes(self) -> int | None:
        raise NotImplementedError

    def peak_memory_bytes(self) -> int | None:
        raise NotImplementedError


@pytest.fixture
def engine(machine: Machine) -> WheelEngine:
    return WheelEngine("1", Path("/site"), machine, lambda: False)


@pytest.fixture
def job(engine: WheelEngine, files: ModelFiles, tmp_path: Path) -> ModelJob:
    options = engine.options({"parallel": 3})
    return ModelJob("m", files, options, system_prompts=SystemPrompts(("Be brief.",), tmp_path))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    directory = tmp_path / "llamacpp"
    directory.mkdir()
    return directory


def suffixes(directory: Path) -> list[str]:
    return sorted(path.suffix for path in directory.iterdir())


async def recall(engine: WheelEngine, program: Program, job: ModelJob) -> int:
    process: EngineProcess = program
    return await engine.recall(process, job)


async def test_slots_end_with_what_every_request_starts_with(
    engine: WheelEngine, job: ModelJob, kept: Path
) -> None:
    program = Program(kept)
    assert await recall(engine, program, job) == 0
    beginning = [ord(character) for character in "[system] Be brief. [user] "]
    assert program.slots == dict.fromkeys(range(3), beginning)
    restarted = Program(kept)
    assert await recall(engine, restarted, job) == len(beginning)
    assert restarted.slots == program.slots
    assert restarted.saves == 0


@pytest.mark.parametrize("step", ["/completion", "save", "restore"])
async def test_what_crashed_the_engine_once_is_not_tried_again(
    step: str, engine: WheelEngine, job: ModelJob, kept: Path
) -> None:
    """Else the model would crash at each load, until it is given up."""
    program = Program(kept)
    program.crashes_at = step
    with pytest.raises(EngineCrashedError):
        await recall(engine, program, job)
    assert suffixes(kept) == [".refused"]
    restarted = Program(kept)
    with pytest.raises(EngineError, match="the engine ended when that was tried"):
        await recall(engine, restarted, job)
    assert restarted.slots == {}


async def test_a_kept_state_that_crashes_the_engine_is_not_tried_again(
    engine: WheelEngine, job: ModelJob, kept: Path
) -> None:
    await recall(engine, Program(kept), job)
    program = Program(kept)
    program.crashes_at = "restore"
    with pytest.raises(EngineCrashedError):
        await recall(engine, program, job)
    assert suffixes(kept) == [".refused"]


async def test_a_restore_that_nothing_reuses_is_not_believed(
    engine: WheelEngine, job: ModelJob, kept: Path
) -> None:
    """llama.cpp restores a windowed or recurrent layer, and may then start over all the same."""
    await recall(engine, Program(kept), job)
    forgetful = Program(kept)
    forgetful.forgets = True
    with pytest.raises(EngineError, match="reuses nothing"):
        await recall(engine, forgetful, job)
    assert forgetful.saves == 1  # once more, for the file might have been to blame
    assert suffixes(kept) == [".refused"]


async def test_a_disk_that_takes_nothing_is_named(
    engine: WheelEngine, job: ModelJob, kept: Path
) -> None:
    program = Program(kept / "elsewhere")
    program.directory.mkdir()
    with pytest.raises(EngineError, match=f"can't be kept in '{kept}'"):
        await recall(engine, program, job)


async def test_a_template_without_a_common_beginning_is_named(
    engine: WheelEngine, job: ModelJob, kept: Path
) -> None:
    with pytest.raises(EngineError, match="no beginning in common"):
        await recall(engine, Program(kept, template="{user} {system}"), job)


async def test_a_template_that_hides_the_users_words_is_named(
    engine: WheelEngine, job: ModelJob, kept: Path
) -> None:
    with pytest.raises(EngineError, match="leaves out what the user says"):
        await recall(engine, Program(kept, template="{system}"), job)
