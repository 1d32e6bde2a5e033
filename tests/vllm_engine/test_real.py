"""vLLM itself with the real 135M model. Minutes: each start imports and warms up for a while."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from pilotlight.core import ModelFiles, Operation
from pilotlight.engines.base import EngineProcess, ModelJob
from pilotlight.engines.vllm import VllmEngine
from pilotlight.errors import EngineStartError
from pilotlight.fleet.base import Fleet
from pilotlight.fleet.local import LocalFleet
from pilotlight.testing import conformance
from pilotlight.testing.conformance import Check, Subject

from .checkpoints import LLAMA, write_model
from .lender import Lender

pytestmark = [
    pytest.mark.real,
    pytest.mark.engines,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
]

# Without compilation a start takes half the time and answers are the same.
GIVEN = {"context": 1024, "parallel": 2, "threads": 1, "enforce_eager": True}
START_S = 300.0


def kill(process: EngineProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)


def job(engine: VllmEngine, files: ModelFiles, **given: Any) -> ModelJob:
    return ModelJob("smol", files, engine.options({**GIVEN, **given}))


@asynccontextmanager
async def running(fleet: Fleet, engine: VllmEngine, job: ModelJob) -> AsyncIterator[EngineProcess]:
    process = await fleet.launch(engine.command(fleet.seat("r1"), job))
    try:
        await engine.load(process, job)
        yield process
    finally:
        await process.stop(grace_s=5.0)


async def ask(process: EngineProcess, path: str, **body: Any) -> tuple[int, Any]:
    status, answer = await process.client.fetch(path, json.dumps(body).encode(), timeout_s=60.0)
    return status, json.loads(answer)


def alien(tmp_path: Path) -> ModelFiles:
    """A model of a kind that nobody has heard of."""
    config = {**LLAMA, "model_type": "alien", "architectures": ["AlienForCausalLM"]}
    return write_model(tmp_path / "alien", config)


ENDING = (conformance.stop_leaves_nothing, conformance.a_failed_load_has_last_words)
KILLING = conformance.a_killed_process_breaks_its_answers
ASKING = [
    check
    for check in (*conformance.CHECKS, *conformance.SOCKET_CHECKS)
    if check not in (*ENDING, KILLING)
]


def subject(engine: VllmEngine, fleet: Fleet, smol: ModelFiles, **more: Any) -> Subject:
    return Subject(engine, fleet, smol, GIVEN, kill, long_tokens=400, timeout_s=START_S, **more)


@pytest.mark.parametrize("check", ASKING, ids=lambda check: check.__name__)
async def test_it_conforms(
    check: Check, real_engine: VllmEngine, lender: Lender, smol: ModelFiles
) -> None:
    await check(subject(real_engine, lender, smol))


@pytest.mark.parametrize("check", ENDING, ids=lambda check: check.__name__)
async def test_it_ends_as_it_should(
    check: Check, real_engine: VllmEngine, fleet: LocalFleet, smol: ModelFiles, tmp_path: Path
) -> None:
    broken = job(real_engine, alien(tmp_path))
    await check(subject(real_engine, fleet, smol, broken=broken))


async def test_declared_operations_and_fields_answer(
    real_engine: VllmEngine, lender: Lender, smol: ModelFiles
) -> None:
    chat = subject(real_engine, lender, smol).job
    can = real_engine.capabilities(smol, chat.options)
    told = [{"role": "user", "content": "Repeat: go go go go go go go"}]
    bodies: dict[Operation, dict[str, Any]] = {
        Operation.CHAT: {"messages": told, "max_tokens": 2},
        Operation.COMPLETIONS: {"prompt": "Hi", "max_tokens": 2},
        Operation.COUNT_TOKENS: {"messages": told},
        Operation.TOKENIZE: {"content": "Hi"},
        Operation.DETOKENIZE: {"tokens": [19556]},
    }
    assert can.operations == set(bodies)
    async with running(lender, real_engine, chat) as process:
        for operation, body in bodies.items():
            path = real_engine.endpoint(operation)
            status, answer = await ask(process, path, model="by any name", **body)
            assert status == 200, (operation, answer)
        await _fields_are_honoured(process, told, can.parameters[Operation.CHAT])
        await _development_endpoints_are_absent(process)
        predicted = real_engine.predict(smol, chat.options).ram_bytes
        peak = process.peak_memory_bytes()
        assert peak is not None
        assert 0.75 < predicted / peak < 1.33, f"predicted {predicted}, took {peak}"


# A field that changes what temperature 0 answers, or what the answer carries.
CHANGES: dict[str, Any] = {
    "structured_outputs": {"choice": ["yes", "no"]},
    "repetition_penalty": 1.8,
    "bad_words": ["go", " go"],
    "allowed_token_ids": [19556, 665],
    "return_token_ids": True,
    "prompt_logprobs": 1,
    "add_generation_prompt": False,
    "truncate_prompt_tokens": 5,
}


async def _fields_are_honoured(
    process: EngineProcess, told: list[dict[str, str]], declared: frozenset[str]
) -> None:
    assert set(CHANGES) | {"stop_token_ids", "min_tokens"} <= declared

    async def said(**fields: Any) -> str:
        given = {"messages": told, "max_tokens": 24, "temperature": 0, "seed": 1, **fields}
        status, answer = await ask(process, "/v1/chat/completions", **given)
        assert status == 200, answer
        kept = ("choices", "prompt_logprobs", "prompt_token_ids")
        return json.dumps({name: answer.get(name) for name in kept})

    plain = await said()
    assert await said() == plain
    unmoved = [name for name, value in CHANGES.items() if await said(**{name: value}) == plain]
    assert not unmoved
    spoken = json.loads(await said(return_token_ids=True))["choices"][0]["token_ids"]
    stop = {"stop_token_ids": [spoken[2]]}
    assert await said(**stop) != plain
    assert await said(**stop, min_tokens=24) != await said(**stop)


async def _development_endpoints_are_absent(process: EngineProcess) -> None:
    for path in ("/sleep", "/collective_rpc", "/server_info", "/v1/load_lora_adapter", "/docs"):
        status, _ = await process.client.fetch(path, b"{}")
        assert status in (404, 405), path


async def test_a_killed_engine_breaks_its_answers(
    real_engine: VllmEngine, lender: Lender, smol: ModelFiles
) -> None:
    """The last to borrow: whoever borrows after it starts another."""
    await KILLING(subject(real_engine, lender, smol))


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"context": 100_000}, "what the model was made for"),
        ({"kv_cache_memory_bytes": "4TiB"}, "lower kv_cache_memory_bytes"),
        ({"tool_call_parser": "nonesuch"}, "tool_call_parser"),
        ({"dtype": "float16", "quantization": "awq"}, "drop the option quantization"),
    ],
)
async def test_a_start_that_fails_says_what_to_do(
    given: dict[str, Any], hint: str, real_engine: VllmEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    with pytest.raises(EngineStartError) as caught:
        async with running(fleet, real_engine, job(real_engine, smol, **given)):
            pass
    assert hint in (caught.value.hint or ""), caught.value.message
    assert "Engine core initialization failed" not in caught.value.message


async def test_a_standby_becomes_the_server_that_a_start_would_have(
    real_engine: VllmEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    """Its engine is forked: it computes with all threads, and goes when its server is killed."""
    given = {name: value for name, value in GIVEN.items() if name != "threads"}
    late = ModelJob("smol", smol, real_engine.options({**given, "enable_lora": True}))
    assert real_engine.capabilities(smol, late.options).standby
    process = await fleet.launch(real_engine.command(fleet.seat("s1"), None))
    try:
        assert await process.receive() == {"event": "parked"}
        parked_bytes = process.memory_bytes()
        assert parked_bytes is not None
        assert 0.75 < real_engine.parked_bytes / parked_bytes < 1.33
        await real_engine.load(process, late)
        path, body = real_engine.canary(late)
        status, _ = await process.client.fetch(path, body, timeout_s=60.0)
        assert status == 200
        status, loaded = await process.client.fetch("/v1/load_lora_adapter", b"{}")
        assert status == 400, loaded  # not 404: what the job alone opens is open
        assert await _computing_threads(process) == late.options.threads
        family = _family(process)
        titles = {" ".join(each.cmdline()) for each in family}
        assert not any("spawn_main" in title for title in titles), titles
        kill(process)
        _, left = psutil.wait_procs(family, timeout=10)
        assert not left
    finally:
        await process.stop(grace_s=0.0)


async def test_other_threads_are_those_of_a_start_of_its_own(
    real_engine: VllmEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    single = job(real_engine, smol, threads=1)
    assert not real_engine.capabilities(smol, single.options).standby
    async with running(fleet, real_engine, single) as process:
        assert await _computing_threads(process) == 1


def _family(process: EngineProcess) -> list[psutil.Process]:
    assert process.pid is not None
    return psutil.Process(process.pid).children(recursive=True)


async def _computing_threads(process: EngineProcess) -> int:
    """Those of the engine's that an answer keeps busy."""
    [core] = [each for each in _family(process) if "EngineCore" in " ".join(each.cmdline())]
    before_s = {thread.id: thread.user_time for thread in core.threads()}
    asked = json.dumps({"prompt": "Hi", "max_tokens": 60, "ignore_eos": True}).encode()
    # Threads that wait for each other crawl where others have the cores.
    status, _ = await process.client.fetch("/v1/completions", asked, timeout_s=200.0)
    assert status == 200
    taken_s = [each.user_time - before_s.get(each.id, 0.0) for each in core.threads()]
    return sum(taken > max(taken_s) / 4 for taken in taken_s)


async def test_a_second_start_finds_what_the_first_compiled(
    real_engine: VllmEngine, fleet: LocalFleet, smol: ModelFiles, engines_directory: Path
) -> None:
    compiled = job(real_engine, smol, enforce_eager=False)
    written: list[dict[Path, float]] = []
    for _ in range(2):
        async with running(fleet, real_engine, compiled):
            found = (engines_directory / "vllm" / "cache").rglob("*.so")
            written.append({path: path.stat().st_mtime for path in found})
    first, second = written
    assert first
    assert second == first


async def test_embeddings_and_ranks(
    real_engine: VllmEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    """The chat model as an embedder: it is no good one, but it is one."""
    embedder = job(real_engine, smol, convert="embed", runner="pooling")
    async with running(fleet, real_engine, embedder) as process:
        path, body = real_engine.canary(embedder)
        assert (await process.client.fetch(path, body))[0] == 200
        status, answer = await ask(process, "/v1/embeddings", input=["A flame", "A pilot"])
        assert status == 200, answer
        assert [len(entry["embedding"]) for entry in answer["data"]] == [576, 576]
        asked = {"query": "What burns?", "documents": ["A flame", "A stone", "A pilot"]}
        status, answer = await ask(process, real_engine.endpoint(Operation.RERANK), **asked)
        assert status == 200, answer
        assert {entry["index"] for entry in answer["results"]} == {0, 1, 2}
