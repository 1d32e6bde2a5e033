"""What a model can do decides what is asked of it; what it can't is refused by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pilotlight import config
from pilotlight.core import Capabilities, ModelFiles, Operation
from pilotlight.gateway.assembly import build
from pilotlight.testing import FakeEngine, FakeFleet, FakeStore
from pilotlight.testing.options import FakeOptions

from .asgi import Client
from .conftest import Build
from .house import MACHINE

HELLO = [{"role": "user", "content": "hello there"}]
PIXEL = "data:image/png;base64,iVBORw0KGgo="
RANK = {"model": "m", "query": "what swims", "documents": ["a bird flies", "a fish swims", "sand"]}


class Narrow(FakeEngine):
    """The fake with less: one operation, or fewer fields of chat."""

    def __init__(self, **less: Any) -> None:
        self._less = less

    def capabilities(self, files: ModelFiles, options: FakeOptions) -> Capabilities:
        return replace(super().capabilities(files, options), **self._less)


@asynccontextmanager
async def narrow(tmp_path: Path, **less: Any) -> AsyncIterator[tuple[Client, FakeFleet]]:
    file = tmp_path / "pilotlight.yaml"
    tree = {"data_dir": str(tmp_path), "models": {"m": {"ref": "fake:m", "engine": "fake"}}}
    file.write_text(yaml.safe_dump({**tree, "memory": 2**30}))
    fleet = FakeFleet()
    house = build(
        config.load(file, environ={}),
        MACHINE,
        fleet,
        factories={"fake": lambda settings, machine: Narrow(**less)},
        store=FakeStore(),
    )
    house.begin()
    try:
        yield Client(house.app), fleet
    finally:
        await house.close()


BODIES: Mapping[str, Mapping[str, Any]] = {
    "/v1/chat/completions": {"messages": HELLO},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/embeddings": {"input": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"max_tokens": 5, "messages": HELLO},
    "/v1/messages/count_tokens": {"messages": HELLO},
    "/v1/rerank": RANK,
    "/v1/predict": {"anything": 1},
    "/tokenize": {"content": "Hi"},
    "/detokenize": {"tokens": [1]},
}


@pytest.mark.parametrize("path", BODIES)
async def test_an_operation_that_is_lacking_is_refused_by_name(tmp_path: Path, path: str) -> None:
    only = Operation.DETOKENIZE if path == "/tokenize" else Operation.TOKENIZE
    async with narrow(tmp_path, operations=frozenset({only})) as (client, fleet):
        answer = await client.post(path, {"model": "m", **BODIES[path]})
        assert answer.status == 400
        error = answer.json["error"]
        assert "model 'm' on fake does not do" in error["message"]
        assert f"it does {only.value}" in error["message"]
        if "code" in error:  # Anthropic's errors have none
            assert error["code"] == "unsupported_operation"
        assert fleet.processes == [], "nothing was started in vain"


LACKS = {Operation.CHAT: frozenset({"logprobs", "response_format", "temperature", "n", "tools"})}


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("/v1/chat/completions", {"logprobs": True}, "logprobs"),
        ("/v1/chat/completions", {"n": 2}, "n"),
        ("/v1/chat/completions", {"response_format": {"type": "json_object"}}, "response_format"),
        ("/v1/chat/completions", {"temperature": 1, "stream": True}, "temperature"),
        ("/v1/responses", {"temperature": 0.5}, "temperature"),
        ("/v1/messages", {"temperature": 0.5}, "temperature"),
        ("/api/chat", {"options": {"temperature": 0.5}}, "temperature"),
    ],
)
async def test_a_core_field_that_is_lacking_is_refused_by_name_on_every_surface(
    tmp_path: Path, path: str, fields: dict[str, Any], param: str
) -> None:
    body = BODIES.get(path, {"messages": HELLO})
    async with narrow(tmp_path, lacks=LACKS) as (client, fleet):
        answer = await client.post(path, {"model": "m", **body, **fields})
        assert answer.status == 400
        assert f"{param!r} is not honoured by this model's engine" in answer.body.decode()
        assert fleet.processes == []
        assert (await client.post(path, {"model": "m", **body})).status == 200


async def test_a_lacking_field_that_asks_for_nothing_passes(tmp_path: Path) -> None:
    nothing = {"n": 1, "logprobs": False, "response_format": {"type": "text"}, "temperature": None}
    body = {"model": "m", "messages": HELLO, **nothing}
    async with narrow(tmp_path, lacks=LACKS) as (client, _):
        assert (await client.post("/v1/chat/completions", body)).status == 200


async def test_reranking_passes_untouched(street: Build) -> None:
    s = await street()
    answer = await s.client.post("/v1/rerank", {**RANK, "top_n": 2})
    assert [entry["index"] for entry in answer.json["results"]] == [1, 0]
    assert "document" not in answer.json["results"][0]
    _, sent = await s.process.client.fetch("/v1/rerank", s.process.exchanges[-1].body)
    assert answer.body == sent
    assert await s.metric("pilotlight_tokens_total", model="m", kind="prompt") > 0


async def test_reranking_with_the_documents_themselves(street: Build) -> None:
    s = await street()
    answer = await s.client.post("/v1/rerank", {**RANK, "top_n": 1, "return_documents": True})
    [best] = answer.json["results"]
    assert best["document"] == {"text": "a fish swims"}
    assert b"return_documents" not in s.process.exchanges[-1].body


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"query": ""}, "query"),
        ({"query": None}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": "one"}, "documents"),
        ({"documents": ["one", {"text": "two"}]}, "documents[1]"),
        ({"top_n": 0}, "top_n"),
        ({"top_n": -1}, "top_n"),
        ({"return_documents": "yes"}, "return_documents"),
        ({"max_chunks_per_doc": 3}, "max_chunks_per_doc"),
    ],
)
async def test_a_wrong_reranking_names_the_field(
    street: Build, fields: dict[str, Any], param: str
) -> None:
    s = await street()
    answer = await s.client.post("/v1/rerank", {**RANK, **fields})
    assert answer.status == 400
    assert answer.json["error"]["param"] == param


def _with_image(path: str) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "image_url", "image_url": {"url": PIXEL}}
    if path == "/v1/messages":
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL.partition(",")[2]}
        part = {"type": "image", "source": source}
    if path == "/v1/responses":
        image = {"type": "input_image", "image_url": PIXEL}
        return {"model": "m", "input": [{"role": "user", "content": [image]}]}
    if path == "/api/chat":
        image = PIXEL.partition(",")[2]
        return {"model": "m", "messages": [{"role": "user", "content": "see", "images": [image]}]}
    message = {"role": "user", "content": [{"type": "text", "text": "see"}, part]}
    return {"model": "m", "max_tokens": 5, "messages": [message]}


SEES = ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/chat")


@pytest.mark.parametrize("path", SEES)
async def test_an_image_reaches_an_engine_that_sees(street: Build, path: str) -> None:
    s = await street({"m": {"options": {"vision": True}}})
    answer = await s.client.post(path, _with_image(path))
    assert answer.status == 200, answer.body
    assert PIXEL.encode() in s.process.exchanges[-1].body


@pytest.mark.parametrize("path", SEES)
async def test_an_image_to_a_blind_model_is_refused_by_name(street: Build, path: str) -> None:
    s = await street({"m": {"options": {"vision": False}}})
    answer = await s.client.post(path, _with_image(path))
    assert answer.status == 400
    assert "image" in answer.body.decode()
    assert "sees none" in answer.body.decode()
    assert s.fleet.processes == []


async def test_tools_to_a_model_without_them_are_refused_by_name(street: Build) -> None:
    s = await street({"m": {"options": {"tools": False}}})
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    answer = await s.client.post(
        "/v1/chat/completions", {"model": "m", "messages": HELLO, "tools": [tool]}
    )
    assert answer.status == 400
    assert answer.json["error"]["param"] == "tools"


async def test_models_lists_all_that_is_known(street: Build) -> None:
    s = await street({"m": {"aliases": ["n"], "options": {"parallel": 3, "context": 64}}})
    [before] = (await s.client.get("/pilotlight/v1/models")).json["models"]
    assert before["measured_bytes"] is None
    await s.client.chat().done()
    [model] = (await s.client.get("/pilotlight/v1/models")).json["models"]
    assert (model["slots"], model["context"]) == (3, 64)
    assert model["predicted_by"] == "formula"
    assert model["measured_bytes"] > 0
    can = model["capabilities"]
    assert can["operations"] == sorted(can["operations"])
    assert {"chat", "rerank"} <= set(can["operations"])
    assert "top_k" in can["parameters"]["chat"]
    assert can["embeddings"]
    assert can["schema"]
    assert can["logprobs"]
    assert not can["lora"]
    assert can["lacks"] == {}


async def test_models_says_what_is_lacking(tmp_path: Path) -> None:
    async with narrow(tmp_path, lacks=LACKS) as (client, _):
        [model] = (await client.get("/pilotlight/v1/models")).json["models"]
    assert not model["capabilities"]["schema"]
    assert not model["capabilities"]["logprobs"]
    assert "temperature" in model["capabilities"]["lacks"]["chat"]


@pytest.mark.parametrize(("fits", "rung"), [(True, "standby"), (False, "cold")])
async def test_a_standby_is_taken_only_by_a_model_it_fits(
    street: Build, fits: bool, rung: str
) -> None:
    """Models of one engine may need processes of different kinds: another interpreter, say."""
    s = await street({"m": {"standby": 1, "options": {"standby": fits}}})
    assert len(s.fleet.processes) == 1
    await s.client.chat().done()
    [start] = (await s.client.get("/pilotlight/v1/cold-starts")).json["cold_starts"]
    assert start["rung"] == rung
