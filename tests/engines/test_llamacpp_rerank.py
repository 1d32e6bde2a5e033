"""Reranking: which models do it, how both programs are told, and that they really rank."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles, Operation
from pilotlight.engines.base import Engine, EngineProcess, ModelJob, Seat
from pilotlight.engines.llamacpp.options import complete
from pilotlight.engines.llamacpp.server import ServerEngine
from pilotlight.engines.llamacpp.sizing import size
from pilotlight.engines.llamacpp.wheel import WheelEngine
from pilotlight.errors import ContextTooLongError, EngineOptionError
from pilotlight.fleet.local import LocalFleet
from pilotlight.machine import Machine

from .headers import header, tensor
from .reranker import write_reranker
from .test_llamacpp_commands import server, wheel

PROGRAMS = ("wheel", "server")
HEAD = tensor("cls.output.weight", (32, 1), "F32", 128)


def test_a_model_whose_file_says_so_ranks(machine: Machine) -> None:
    reranker = header("bert", context_length=512, pooling_type=4, tensors=(HEAD,))
    sizing = size(complete({}, machine), reranker)
    assert sizing.ranks
    assert sizing.pooling == "rank", "the endpoint asks for the parameter, not for the file's word"
    assert not sizing.generates
    assert sizing.ubatch == 512, "a pair is computed at once"


def test_a_model_can_be_told_to_rank_or_not_to(machine: Machine) -> None:
    decoder = header("qwen3", context_length=512, tensors=(HEAD,))
    assert size(complete({"pooling": "rank"}, machine), decoder).ranks
    assert not size(complete({}, machine), decoder).ranks
    reranker = header("bert", context_length=512, pooling_type=4, tensors=(HEAD,))
    assert not size(complete({"pooling": "cls"}, machine), reranker).ranks


def test_a_model_without_a_head_is_refused(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(EngineOptionError, match="no head that ranks"):
        size(complete({"pooling": "rank"}, machine), header("llama"))
    files = write_reranker(tmp_path / "headless.gguf", head=False)
    engine = wheel(machine)
    with pytest.raises(EngineOptionError, match="no head that ranks"):
        engine.capabilities(files, engine.options({}))


def test_what_it_can_do_and_what_proves_it(machine: Machine, tmp_path: Path) -> None:
    files = write_reranker(tmp_path / "r.gguf")
    engine = wheel(machine)
    options = engine.options({})
    can = engine.capabilities(files, options)
    assert can.operations == {Operation.RERANK, Operation.TOKENIZE, Operation.DETOKENIZE}
    assert not can.lora
    path, body = engine.canary(ModelJob("r", files, options))
    assert path == "/v1/rerank"
    assert json.loads(body) == {"query": "Hi", "documents": ["Hi"]}


def test_both_programs_are_told(machine: Machine, seat: Seat, tmp_path: Path) -> None:
    files = write_reranker(tmp_path / "r.gguf")
    by_flags: ServerEngine = server(machine)
    argv = by_flags.command(seat, ModelJob("r", files, by_flags.options({}))).argv
    at = argv.index("--embedding")
    assert argv[at : at + 3] == ("--embedding", "--pooling", "rank")
    by_parameters: WheelEngine = wheel(machine)
    params = by_parameters.params(ModelJob("r", files, by_parameters.options({})))
    assert params["embedding"] is True
    assert params["pooling_type"] == "LLAMA_POOLING_TYPE_RANK"


@asynccontextmanager
async def running(
    fleet: LocalFleet, engine: Engine, files: ModelFiles
) -> AsyncIterator[EngineProcess]:
    job = ModelJob("r", files, engine.options({"parallel": 2, "threads": 1}))
    process = await fleet.launch(engine.command(fleet.seat("r1"), job))
    try:
        await engine.load(process, job)
        status, _ = await process.client.fetch(*engine.canary(job))
        assert status == 200
        yield process
    finally:
        await process.stop(grace_s=2.0)


async def rank(process: EngineProcess, **body: Any) -> Any:
    status, answer = await process.client.fetch("/v1/rerank", json.dumps(body).encode())
    assert status == 200, answer
    return json.loads(answer)


@pytest.mark.real
@pytest.mark.parametrize("program", PROGRAMS)
async def test_it_ranks(
    program: str, make_engine: Callable[[str], Engine], fleet: LocalFleet, tmp_path: Path
) -> None:
    """Random weights know nothing of fish, but equal documents score alike and others don't."""
    engine = make_engine(program)
    documents = ["water", "fish", "flame", "fish"]
    async with running(fleet, engine, write_reranker(tmp_path / "r.gguf")) as process:
        answer = await rank(process, query="what swims", documents=documents)
        scores = {entry["index"]: entry["relevance_score"] for entry in answer["results"]}
        assert [entry["relevance_score"] for entry in answer["results"]] == sorted(
            scores.values(), reverse=True
        )
        assert scores[1] == pytest.approx(scores[3], abs=1e-5)
        assert len({round(score, 3) for score in scores.values()}) == 3
        assert answer["usage"]["prompt_tokens"] > 8
        best = await rank(process, query="what swims", documents=documents, top_n=1)
        assert [entry["index"] for entry in best["results"]] == [answer["results"][0]["index"]]
        other = await rank(process, query="what burns", documents=documents)
        assert other["results"] != answer["results"]


@pytest.mark.real
@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_pair_over_the_context_has_its_own_error(
    program: str, make_engine: Callable[[str], Engine], fleet: LocalFleet, tmp_path: Path
) -> None:
    engine = make_engine(program)
    body = {"query": "fish", "documents": ["water " * 600]}
    async with running(fleet, engine, write_reranker(tmp_path / "r.gguf")) as process:
        status, answer = await process.client.fetch("/v1/rerank", json.dumps(body).encode())
        error = engine.error(status, answer)
        assert isinstance(error, ContextTooLongError), repr(error)
