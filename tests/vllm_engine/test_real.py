"""vLLM itself with the real 135M model. Minutes: each start imports and warms up for a while."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles, Operation
from pilotlight.engines.base import EngineProcess, ModelJob
from pilotlight.engines.vllm import VllmEngine
from pilotlight.errors import EngineStartError
from pilotlight.fleet.local import LocalFleet
from pilotlight.testing.conformance import CHECKS, SOCKET_CHECKS, Check, Subject
from real.server import Server, eventually, is_alive

from .checkpoints import LLAMA, write_model

pytestmark = [pytest.mark.real, pytest.mark.engines, pytest.mark.timeout(900)]

# Without compilation a start takes half the time and answers are the same.
GIVEN = {"context": 1024, "parallel": 2, "threads": 1, "enforce_eager": True}
START_S = 300.0


def kill(process: EngineProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)


def job(engine: VllmEngine, files: ModelFiles, **given: Any) -> ModelJob:
    return ModelJob("smol", files, engine.options({**GIVEN, **given}))


@asynccontextmanager
async def running(
    fleet: LocalFleet, engine: VllmEngine, job: ModelJob
) -> AsyncIterator[EngineProcess]:
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


@pytest.mark.parametrize("check", CHECKS + SOCKET_CHECKS, ids=lambda check: check.__name__)
async def test_it_conforms(
    check: Check, real_engine: VllmEngine, fleet: LocalFleet, smol: ModelFiles, tmp_path: Path
) -> None:
    broken = job(real_engine, alien(tmp_path))
    await check(
        Subject(real_engine, fleet, smol, GIVEN, kill, broken, long_tokens=400, timeout_s=START_S)
    )


async def test_declared_operations_and_fields_answer(
    real_engine: VllmEngine, fleet: LocalFleet, smol: ModelFiles
) -> None:
    chat = job(real_engine, smol)
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
    async with running(fleet, real_engine, chat) as process:
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


async def test_a_second_start_finds_what_the_first_compiled(
    real_engine: VllmEngine, fleet: LocalFleet, smol: ModelFiles, engines_directory: Path
) -> None:
    shutil.rmtree(engines_directory / "vllm" / "cache", ignore_errors=True)
    compiled = job(real_engine, smol, enforce_eager=False)
    took_s = []
    for _ in range(2):
        began_s = time.monotonic()
        async with running(fleet, real_engine, compiled):
            took_s.append(time.monotonic() - began_s)
    first_s, second_s = took_s
    assert second_s < 0.6 * first_s, f"{first_s:.1f} s, then {second_s:.1f} s"


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


@pytest.fixture
def served(tmp_path: Path, smol: ModelFiles, engines_directory: Path, store_directory: Path) -> Any:
    server = Server(
        tmp_path / "d",
        store_directory,
        {"smol": {"ref": str(smol.path), "engine": "vllm", "aliases": ["s"], "options": GIVEN}},
        engines={"directory": str(engines_directory)},
    )
    yield server
    engines = server.engines
    server.stop(signal.SIGKILL)
    for process in engines:
        process.wait(10)


def test_through_the_gateway(served: Server) -> None:
    """The official client: streams with and without usage, tokens counted for both."""
    from openai import OpenAI

    client = OpenAI(base_url=f"{served.url}/v1", api_key="none", timeout=START_S)
    told: list[Any] = [{"role": "user", "content": "Hi"}]
    asked: dict[str, Any] = {"messages": told, "max_tokens": 5, "extra_body": {"ignore_eos": True}}
    plain = list(client.chat.completions.create(model="s", stream=True, **asked))
    assert all(chunk.choices for chunk in plain), "no usage for who didn't ask"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in plain)
    counted = list(
        client.chat.completions.create(
            model="smol", stream=True, stream_options={"include_usage": True}, **asked
        )
    )
    assert counted[-1].usage is not None
    assert counted[-1].usage.completion_tokens == 5
    whole = client.chat.completions.create(model="smol", **asked)
    assert whole.usage is not None
    assert _tokens_counted(served) == 15
    _anthropic_is_carried(served)
    _a_killed_gateway_leaves_nothing(served)


def _tokens_counted(server: Server) -> float:
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    counted = 'pilotlight_tokens_total{kind="completion",model="smol"}'
    found = [line for line in lines if line.startswith(counted)]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def _anthropic_is_carried(server: Server) -> None:
    from anthropic import Anthropic

    client = Anthropic(base_url=server.url, api_key="none", timeout=60.0)
    told: list[Any] = [{"role": "user", "content": "Hi"}]
    answer = client.messages.create(model="smol", max_tokens=5, messages=told)
    assert answer.usage.output_tokens > 0
    with client.messages.stream(model="smol", max_tokens=5, messages=told) as stream:
        assert "".join(stream.text_stream)
    assert client.messages.count_tokens(model="smol", messages=told).input_tokens > 1


def _a_killed_gateway_leaves_nothing(server: Server) -> None:
    pids = [process.pid for process in server.engines]
    assert len(pids) >= 3, "server, watcher and engine at the least"
    server.stop(signal.SIGKILL)
    eventually(lambda: not any(is_alive(pid) for pid in pids), "every process is gone")
