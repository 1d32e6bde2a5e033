"""The wheel loads a file whose end isn't here yet, and ends up with the very same model."""

from __future__ import annotations

import asyncio
import json
import os
import platform
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from pilotlight.calibration import shaped_gguf
from pilotlight.catalog.architecture import Architecture
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.engines.base import Engine, EngineProcess, ModelJob
from pilotlight.engines.llamacpp.sizing import header_of
from pilotlight.engines.llamacpp.wheel import WheelEngine
from pilotlight.errors import EngineStartError
from pilotlight.fleet.local import LocalFleet

from .test_llamacpp_real import ask, job, running

pytestmark = pytest.mark.real

SHAPE = Architecture(
    layers=6, hidden=512, heads=8, kv_heads=4, head_dim=64, feed_forward=1536, vocabulary=2048,
    context=1024, tied=False,
)  # fmt: skip
PIECES = 12
QUESTION = {"prompt": [5, 6, 7, 8], "max_tokens": 12, "temperature": 0, "logprobs": 1}


@pytest.fixture
def wheel(make_engine: Callable[[str], Engine]) -> WheelEngine:
    engine = make_engine("wheel")
    assert isinstance(engine, WheelEngine)
    if engine.offloads:
        pytest.skip("this llama.cpp uses a GPU, and there nothing is loaded early")
    return engine


def shaped(path: Path, mix: str) -> ModelFiles:
    return ModelFiles(ModelRef("file", str(path)), path, shaped_gguf.write(path, SHAPE, mix))


class Arriving:
    """A file that has its header and its size, and gets the rest piece by piece."""

    def __init__(self, whole: ModelFiles, path: Path) -> None:
        self._bytes = whole.path.read_bytes()
        self._header_bytes = header_of(whole.path).data_offset
        self.files = ModelFiles(whole.ref, path, whole.size_bytes)
        with path.open("wb") as file:
            file.write(self._bytes[: self._header_bytes])
            file.truncate(whole.size_bytes)

    async def pieces(self, process: EngineProcess, count: int = PIECES) -> AsyncIterator[int]:
        """From when the engine has mapped the file, which is just before it begins to copy."""
        maps = Path(f"/proc/{process.pid}/maps")
        while self.files.path.name not in maps.read_text():
            await asyncio.sleep(0.005)
        step = -(-(len(self._bytes) - self._header_bytes) // PIECES)
        with self.files.path.open("r+b", buffering=0) as file:
            for number in range(count):
                await asyncio.sleep(0.02)
                start = self._header_bytes + number * step
                os.pwrite(file.fileno(), self._bytes[start : start + step], start)
                if start + step >= len(self._bytes):
                    self.files.path.rename(
                        self.files.path.with_suffix(".whole")
                    )  # as the store does
                yield min(start + step, len(self._bytes))


async def answer(process: EngineProcess) -> object:
    status, answered = await ask(process, "/v1/completions", **QUESTION)
    assert status == 200, answered
    choice = answered["choices"][0]
    return choice["text"], choice["logprobs"]


@pytest.mark.parametrize("mix", ["Q4_0", "Q4_K_M", "Q8_0", "F16"])
async def test_it_answers_as_from_a_whole_file(
    mix: str, wheel: WheelEngine, fleet: LocalFleet, tmp_path: Path
) -> None:
    whole = shaped(tmp_path / "whole.gguf", mix)
    async with running(fleet, wheel, job(wheel, whole)) as process:
        expected = await answer(process)
    arriving = Arriving(whole, tmp_path / "arriving.gguf")
    early = job(wheel, arriving.files)
    assert wheel.can_load_early(early)
    process = await fleet.launch(wheel.command(fleet.seat("r2"), None))
    try:
        assert await wheel.load_early(process, early, arriving.pieces(process))
        assert await answer(process) == expected
        await wheel.unload(process)
        await wheel.load(process, job(wheel, whole))
        assert await answer(process) == expected
    finally:
        await process.stop(grace_s=2.0)


class Unread:
    """A process that reads nothing before all is here, as one that is busy with its load."""

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []
        self._all_here = asyncio.Event()

    async def send(self, message: Mapping[str, Any]) -> None:
        self.sent.append(message)
        if message.get("arrived_bytes") == self.sent[0]["size_bytes"]:
            self._all_here.set()

    async def receive(self) -> dict[str, Any]:
        await self._all_here.wait()
        return {"event": "ready", "copied_bytes": 0}


async def test_what_is_told_fits_into_a_pipe_that_nobody_reads(
    wheel: WheelEngine, tmp_path: Path
) -> None:
    """Beyond that, a word more would hold up the whole server."""
    asked = job(wheel, shaped(tmp_path / "whole.gguf", "Q4_0"))
    process = Unread()

    async def small_steps() -> AsyncIterator[int]:
        for here_bytes in range(1, asked.files.size_bytes, 499):
            yield here_bytes
        yield asked.files.size_bytes

    await wheel.load_early(cast("EngineProcess", process), asked, small_steps())
    assert sum(len(json.dumps(message)) + 1 for message in process.sent) < 60_000


def test_nothing_is_loaded_early_on_other_processors(
    wheel: WheelEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = job(wheel, shaped(tmp_path / "whole.gguf", "Q4_0"))
    assert wheel.can_load_early(asked)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not wheel.can_load_early(asked)


async def test_it_waits_for_the_last_byte(
    wheel: WheelEngine, fleet: LocalFleet, tmp_path: Path
) -> None:
    arriving = Arriving(shaped(tmp_path / "whole.gguf", "Q4_0"), tmp_path / "arriving.gguf")
    process = await fleet.launch(wheel.command(fleet.seat("r1"), None))
    all_but_one = arriving.pieces(process, PIECES - 1)
    early = asyncio.create_task(wheel.load_early(process, job(wheel, arriving.files), all_but_one))
    done, _ = await asyncio.wait([early], timeout=1.5)
    assert not done
    await process.stop(grace_s=0.0)
    with pytest.raises(EngineStartError):
        await early


async def test_a_copy_that_nobody_waited_for_is_found_out(
    wheel: WheelEngine, fleet: LocalFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that copies more than its formula says may have copied what wasn't here."""
    arriving = Arriving(shaped(tmp_path / "whole.gguf", "Q4_0"), tmp_path / "arriving.gguf")
    monkeypatch.setattr(wheel, "_copied_bytes", lambda job: 1)
    process = await fleet.launch(wheel.command(fleet.seat("r1"), None))
    try:
        early = wheel.load_early(process, job(wheel, arriving.files), arriving.pieces(process))
        assert not await early
    finally:
        await process.stop(grace_s=2.0)


@pytest.mark.parametrize(
    "given",
    [{"mmap": False}, {"mlock": True}, {"warmup": True}, {"override_tensor": "blk=CPU"}],
    ids=str,
)
def test_what_would_read_the_weights_at_once_is_loaded_whole(
    given: dict[str, object], wheel: WheelEngine, tmp_path: Path
) -> None:
    asked: ModelJob = job(wheel, shaped(tmp_path / "whole.gguf", "Q4_0"), **given)
    assert not wheel.can_load_early(asked)
