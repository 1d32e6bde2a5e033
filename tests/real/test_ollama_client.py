"""The official ollama client against the real model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import ollama
import pytest

from .server import Server

pytestmark = pytest.mark.real

HI = [{"role": "user", "content": "Write a long story about the sea."}]


@pytest.fixture
def client(shared: Server) -> Iterator[ollama.Client]:
    made = ollama.Client(host=shared.url)
    yield made
    made.close()


def test_chat(client: ollama.Client) -> None:
    answer = client.chat("smol", HI, options={"num_predict": 12, "temperature": 0, "seed": 1})
    assert answer.message.content
    assert answer.done_reason == "length"
    assert answer.eval_count == 12
    assert (answer.total_duration or 0) > (answer.eval_duration or 0) > 0


def test_chat_streams(client: ollama.Client) -> None:
    parts = list(client.chat("smol", HI, stream=True, options={"num_predict": 12}))
    assert len(parts) > 5
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]


def test_generate(client: ollama.Client) -> None:
    answer = client.generate("smol", "Say hi.", options={"num_predict": 8}, keep_alive="10m")
    assert answer.response
    raw = client.generate("smol", "Once upon a", raw=True, options={"num_predict": 4})
    assert raw.response


def test_a_schema_is_kept(client: ollama.Client) -> None:
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 1, "maximum": 99}},
        "required": ["age"],
    }
    answer = client.chat("smol", HI, format=schema, options={"num_predict": 40})
    assert isinstance(json.loads(answer.message.content or "")["age"], int)


def test_tools(client: ollama.Client) -> None:
    def get_weather(city: str) -> str:
        """The weather in a city.

        Args:
            city: its name
        """
        return f"sunny in {city}"

    def called(city: str) -> list[dict[str, Any]]:
        call = {"function": {"name": "get_weather", "arguments": {"city": city}}}
        return [
            {"role": "user", "content": f"What is the weather in {city}?"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
        ]

    question = {"role": "user", "content": "What is the weather in Paris?"}
    answer = client.chat(
        "caller",
        [*called("Rome"), *called("Oslo"), question],
        tools=[get_weather],
        options={"num_predict": 60, "temperature": 0},
    )
    assert answer.message.tool_calls
    function = answer.message.tool_calls[0].function
    assert function.name == "get_weather"
    assert set(function.arguments) == {"city"}


def test_embed(client: ollama.Client) -> None:
    answer = client.embed("embedder", ["a cat", "a dog"])
    assert len(answer.embeddings) == 2
    assert len(answer.embeddings[0]) == 576
    assert len(client.embeddings("embedder", "a cat").embedding) == 576


def test_what_is_here_and_what_runs(client: ollama.Client) -> None:
    listed = {model.model: model for model in client.list().models}
    assert set(listed) == {"smol", "caller", "embedder"}
    details = listed["smol"].details
    assert details is not None
    assert details.family == "llama"
    shown = client.show("smol")
    assert "completion" in (shown.capabilities or ())
    assert (shown.modelinfo or {})["llama.block_count"] == 30
    client.chat("smol", HI, options={"num_predict": 1})
    assert "smol" in {model.model for model in client.ps().models}


def test_errors_are_the_clients_own(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError) as missing:
        client.chat("smoll", HI)
    assert missing.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="num_ctx"):
        client.chat("smol", HI, options={"num_ctx": 123})
