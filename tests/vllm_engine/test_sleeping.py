"""What vLLM is asked to sleep and to wake. No GPU was at hand: the order is its documentation's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilotlight.core import ModelFiles
from pilotlight.engines.base import ModelJob
from pilotlight.engines.vllm import VllmEngine
from pilotlight.errors import EngineError, EngineStartError


class Sleeper:
    """A process and its client: a vLLM that can sleep, as far as its endpoints go."""

    alive = True

    def __init__(self, *, refuses: str = "") -> None:
        self.client = self
        self.asleep = False
        self.asked: list[tuple[str, Any]] = []
        self.ordered: list[Any] = []
        self._refuses = refuses

    async def fetch(
        self, path: str, body: bytes | None = None, *, timeout_s: float = 10.0
    ) -> tuple[int, bytes]:
        if body is not None:
            self.asked.append((path, json.loads(body) if body else None))
            self.asleep = path.startswith("/sleep")
        if self._refuses and path.startswith(self._refuses):
            return 500, b"no"
        return 200, json.dumps({"is_sleeping": self.asleep}).encode()

    async def send(self, message: Any) -> None:
        self.ordered.append(message)

    def last_words(self, lines: int = 5) -> str:
        return ""


async def asleep(
    engine: VllmEngine, files: ModelFiles, level: int, sleeper: Sleeper
) -> tuple[Any, ModelJob]:
    process: Any = sleeper
    job = ModelJob("m", files, engine.options({"sleep_level": level}))
    await engine.load(process, job)
    assert sleeper.asked == [], "one that is awake is let be"
    await engine.unload(process)
    return process, job


async def test_level_one(gpu_engine: VllmEngine, files: ModelFiles) -> None:
    sleeper = Sleeper()
    process, job = await asleep(gpu_engine, files, 1, sleeper)
    await gpu_engine.load(process, job)
    assert sleeper.asked == [("/sleep?level=1", None), ("/wake_up", None)]
    assert sleeper.ordered == [gpu_engine.order(job)], "it has its model already"


async def test_level_two_reads_the_weights_again(gpu_engine: VllmEngine, files: ModelFiles) -> None:
    sleeper = Sleeper()
    process, job = await asleep(gpu_engine, files, 2, sleeper)
    await gpu_engine.load(process, job)
    assert sleeper.asked == [
        ("/sleep?level=2", None),
        ("/wake_up?tags=weights", None),
        ("/collective_rpc", {"method": "reload_weights"}),
        ("/wake_up?tags=kv_cache", None),
    ]


async def test_a_refused_sleep_is_an_error(gpu_engine: VllmEngine, files: ModelFiles) -> None:
    with pytest.raises(EngineError, match="500 to /sleep"):
        await asleep(gpu_engine, files, 1, Sleeper(refuses="/sleep"))


async def test_a_refused_wake_is_a_failed_start(gpu_engine: VllmEngine, files: ModelFiles) -> None:
    sleeper = Sleeper(refuses="/wake_up")
    process, job = await asleep(gpu_engine, files, 1, sleeper)
    with pytest.raises(EngineStartError, match="did not wake"):
        await gpu_engine.load(process, job)
