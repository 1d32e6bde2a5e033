"""LoRA adapters on vLLM itself, over the real 135M model: one start for all of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pilotlight.core import ModelFiles
from pilotlight.engines.base import Adapter, EngineProcess, ModelJob, read_whole
from pilotlight.engines.vllm import VllmEngine
from pilotlight.errors import AdapterError
from pilotlight.fleet.local import LocalFleet

from .peft_lora import Shapes, halves, linear_layers, write_lora

pytestmark = [
    pytest.mark.real,
    pytest.mark.engines,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]

# In 32 bits an answer doesn't depend on what else is in its batch. Of three adapters vLLM keeps
# two, so that it has to read one from its file again and again.
GIVEN = {
    "context": 1024, "parallel": 4, "threads": 1, "enforce_eager": True, "dtype": "float32",
    "enable_lora": True, "max_loras": 2, "max_cpu_loras": 2,
}  # fmt: skip
FRANCE = "The capital of France is"
LONG = (
    "A pilot light keeps a small flame burning so that the furnace starts at once. " * 12 + FRANCE
)
"""More than a block of the cache, so that a second request goes on from the first's."""


@dataclass(frozen=True, slots=True)
class Served:
    """A running vLLM with adapters, asked by the names that clients know."""

    engine: VllmEngine
    process: EngineProcess
    job: ModelJob
    shapes: Shapes
    place: Path

    def lora(self, name: str, seed: int, *, at: str = "", stamp: str = "1") -> Adapter:
        path = self.place / (at or f"{name}-{seed}")
        files = write_lora(path, halves(self.shapes, 4), seed=seed, scale=0.1)
        return Adapter(name, files, stamp)

    async def having(self, *adapters: Adapter) -> ModelJob:
        wanted = replace(self.job, adapters=adapters)
        assert await self.engine.adapt(self.process, self.job, wanted) == wanted
        return wanted

    async def ask(
        self, job: ModelJob, adapter: str | None, prompt: str = FRANCE, tokens: int = 16
    ) -> tuple[int, Any]:
        asked = {"model": "an-alias", "prompt": prompt, "max_tokens": tokens, "temperature": 0}
        body = json.dumps({**asked, "ignore_eos": True}).encode()
        addressed = self.engine.address(body, job, adapter)
        fetch = self.process.client.fetch("/v1/completions", addressed, timeout_s=120.0)
        status, answer = await fetch
        return status, json.loads(answer)

    async def said(
        self, job: ModelJob, adapter: str | None, prompt: str = FRANCE, tokens: int = 16
    ) -> str:
        status, answer = await self.ask(job, adapter, prompt, tokens)
        assert status == 200, answer
        assert answer["model"] == job.served_name(adapter)
        return str(answer["choices"][0]["text"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(
    real_engine: VllmEngine, smol: ModelFiles, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    place = tmp_path_factory.mktemp("loras")
    shapes = linear_layers(smol.path)
    files = write_lora(place / "first", halves(shapes, 4), seed=1, scale=0.1)
    options = real_engine.options(GIVEN)
    job = ModelJob("smol", smol, options, (Adapter("a", files, "1"),))
    fleet = LocalFleet(place / "logs")
    try:
        process = await fleet.launch(real_engine.command(fleet.seat("r1"), job))
        await real_engine.load(process, job)
        yield Served(real_engine, process, job, shapes, place)
    finally:
        await fleet.close()


async def test_each_answers_in_its_own_way(served: Served) -> None:
    """The one of the start at its first request; those that came later without a restart."""
    pid = served.process.pid
    first = await served.said(served.job, "a")
    job = await served.having(*served.job.adapters, served.lora("b", 2), served.lora("c", 3))
    for adapter in job.adapters:
        served.engine.check_adapter(job, adapter)
    names = (None, "a", "b", "c")
    alone = {name: await served.said(job, name) for name in names}
    assert len(set(alone.values())) == 4, alone
    assert alone["a"] == first
    mixed = await asyncio.gather(*(served.said(job, name) for name in names * 3))
    assert mixed == [alone[name] for name in names * 3], alone
    assert served.process.pid == pid
    assert served.process.alive


async def test_a_stream_of_a_chat_carries_the_name(served: Served) -> None:
    job = await served.having(*served.job.adapters)
    asked = {"model": "smol:a", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
    body = json.dumps({**asked, "stream": True}).encode()
    path = "/v1/chat/completions"
    exchange = await served.process.client.open(path, served.engine.address(body, job, "a"))
    lines = (await read_whole(exchange)).split(b"\n\n")
    events: list[Mapping[str, Any]] = [json.loads(line[6:]) for line in lines if b"{" in line]
    assert events
    assert {event["model"] for event in events} == {"smol:a"}


async def test_one_that_goes_answers_what_it_was_asked(served: Served) -> None:
    job = await served.having(*served.job.adapters)
    whole = await served.said(job, "a", tokens=48)
    asked = asyncio.create_task(served.said(job, "a", tokens=48))
    await _is_running(served)
    await served.having()
    assert not asked.done()
    assert await asked == whole
    status, answer = await served.ask(job, "a")
    assert status == 404, f"no bare model in its place: {answer}"


async def _is_running(served: Served) -> None:
    while True:
        _, metrics = await served.process.client.fetch("/metrics")
        lines = metrics.decode().splitlines()
        running = [line for line in lines if line.startswith("vllm:num_requests_running")]
        if running and float(running[0].rpartition(" ")[2]) > 0:
            return


async def test_other_bytes_at_the_same_path_are_another(served: Served) -> None:
    """Neither the old weights nor the keys and values that they left in the cache."""
    job = await served.having(served.lora("a", 4, at="same", stamp="1"))
    old = await served.said(job, "a", LONG)
    assert await _cached_tokens(served, job) > 0
    job = await served.having(served.lora("a", 5, at="same", stamp="2"))
    assert await _cached_tokens(served, job, "a") == 0
    new = await served.said(job, "a", LONG)
    job = await served.having(served.lora("truth", 5))
    assert new == await served.said(job, "truth", LONG)
    assert new != old


async def _cached_tokens(served: Served, job: ModelJob, adapter: str = "a") -> int:
    _, answer = await served.ask(job, adapter, LONG)
    details = answer["usage"]["prompt_tokens_details"] or {}
    return int(details.get("cached_tokens") or 0)


async def test_a_bad_one_costs_nothing(served: Served) -> None:
    job = await served.having(*served.job.adapters)
    before = await served.said(job, "a")
    strange = halves({"model.layers.0.self_attn.x_proj": (576, 576)}, 4)
    bad = Adapter("bad", write_lora(served.place / "bad", strange))
    with pytest.raises(AdapterError, match="the model has none"):
        served.engine.check_adapter(job, bad)
    wanted = replace(job, adapters=(served.lora("b", 2), bad))
    with pytest.raises(AdapterError, match=r"vLLM refused adapter 'bad'.*x_proj"):
        await served.engine.adapt(served.process, job, wanted)
    _, listed = await served.process.client.fetch("/v1/models")
    assert len(json.loads(listed)["data"]) == 2, "the model and what it had"
    assert await served.said(job, "a") == before


async def test_its_room_was_predicted(served: Served) -> None:
    peak = served.process.peak_memory_bytes()
    assert peak is not None
    predicted = served.engine.predict(served.job.files, served.job.options).ram_bytes
    assert 0.75 < predicted / peak < 1.33, f"predicted {predicted}, took {peak}"
