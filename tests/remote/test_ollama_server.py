"""Our Ollama server against the official client: is it what the client takes for one?"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from ollama import AsyncClient, ResponseError

from .ollama_server import Model, Ollama, ollama_server


@pytest.fixture
async def ollama() -> AsyncIterator[Ollama]:
    async with ollama_server(Model("small:latest"), Model("vec:latest", ("embedding",))) as made:
        yield made


@pytest.fixture
async def client(ollama: Ollama) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(ollama.url) as made:
        yield made


async def test_a_model_is_pulled_listed_and_shown(client: AsyncClient) -> None:
    assert (await client.list()).models == []
    rows = [row async for row in await client.pull("small", stream=True)]
    assert rows[0].status == "pulling manifest"
    assert [(r.completed, r.total) for r in rows if r.digest == "sha256:aaa"][-1] == (700, 700)
    assert rows[-1].status == "success"
    [model] = (await client.list()).models
    assert (model.model, model.size) == ("small:latest", 1000)
    shown = await client.show("small")
    assert shown.capabilities == ["completion", "tools"]
    assert shown.modelinfo is not None
    assert shown.modelinfo["llama.context_length"] == 8192


async def test_an_unknown_model_is_refused_as_the_client_expects(client: AsyncClient) -> None:
    with pytest.raises(ResponseError, match="not found") as caught:
        await client.show("nobody")
    assert caught.value.status_code == 404
    with pytest.raises(ResponseError, match="file does not exist"):
        _ = [row async for row in await client.pull("nobody", stream=True)]


async def test_a_model_is_loaded_and_let_go(client: AsyncClient) -> None:
    await client.pull("small")
    answer = await client.generate("small", keep_alive=-1)
    assert (answer.done, answer.done_reason) == (True, "load")
    [running] = (await client.ps()).models
    assert running.model == "small:latest"
    assert running.context_length == 4096
    assert running.expires_at is not None
    assert running.expires_at.year > 2300
    assert (await client.generate("small", keep_alive=0)).done_reason == "unload"
    assert (await client.ps()).models == []


async def test_an_embedding_model_embeds_and_does_not_generate(client: AsyncClient) -> None:
    await client.pull("vec")
    assert list((await client.embed("vec", ["a", "b"])).embeddings[0]) == [0.1, 0.2]
    with pytest.raises(ResponseError, match="does not support generate"):
        await client.generate("vec")
    assert list((await client.embed("vec", "", keep_alive=-1)).embeddings) == []
    assert len((await client.ps()).models) == 1


async def test_a_model_is_deleted(client: AsyncClient) -> None:
    await client.pull("small")
    assert (await client.delete("small")).status == "success"
    with pytest.raises(ResponseError, match="not found"):
        await client.delete("small")
