"""The official anthropic client against the real model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from .server import Server

pytestmark = pytest.mark.real

HI: Any = [{"role": "user", "content": "Count from one to five."}]
STORY: Any = [{"role": "user", "content": "Write a long story about the sea."}]
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


@pytest.fixture
def client(shared: Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=shared.url, api_key="unused", max_retries=0) as made:
        yield made


def test_messages(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(
        model="smol",
        max_tokens=12,
        messages=STORY,
        system="You write long stories.",
        extra_body={"temperature": 0.0},
    )
    assert answer.content[0].type == "text"
    assert answer.content[0].text
    assert answer.usage.output_tokens == 12
    assert answer.stop_reason == "max_tokens"


def test_messages_stream(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="smol", max_tokens=12, messages=STORY) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text
    assert final.usage.output_tokens == 12


def test_stop_sequences(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(
        model="smol",
        max_tokens=60,
        messages=HI,
        extra_body={"temperature": 0.0},
        stop_sequences=["2", "wo", "\n"],
    )
    assert answer.stop_reason in ("stop_sequence", "end_turn")


def called(city: str) -> Any:
    use = {
        "type": "tool_use",
        "id": f"toolu_{city}",
        "name": "get_weather",
        "input": {"city": city},
    }
    return [
        {"role": "user", "content": f"What is the weather in {city}?"},
        {"role": "assistant", "content": [use]},
    ]


QUESTION: Any = {"role": "user", "content": "What is the weather in Paris?"}


def test_a_tool_and_its_result(client: anthropic.Anthropic) -> None:
    asked = [*called("Rome"), *called("Oslo"), QUESTION]
    answer = client.messages.create(
        model="caller",
        max_tokens=60,
        messages=asked,
        tools=[WEATHER],
        tool_choice={"type": "any"},
        extra_body={"temperature": 0.0},
    )
    use = next(block for block in answer.content if block.type == "tool_use")
    assert use.name == "get_weather"
    assert answer.stop_reason == "tool_use"
    result: Any = {"type": "tool_result", "tool_use_id": use.id, "content": "Sunny, 21 degrees."}
    told = client.messages.create(
        model="caller",
        max_tokens=20,
        tools=[WEATHER],
        messages=[
            *asked,
            {"role": "assistant", "content": [use.model_dump(exclude_none=True)]},  # type: ignore[list-item]
            {"role": "user", "content": [result]},
        ],
    )
    assert told.content


def test_count_tokens(client: anthropic.Anthropic) -> None:
    few = client.messages.count_tokens(model="smol", messages=HI).input_tokens
    more = client.messages.count_tokens(
        model="smol", messages=[{"role": "user", "content": "word " * 100}]
    ).input_tokens
    assert 10 < few < more


def test_errors_are_the_clients_own(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="did you mean 'smol'"):
        client.messages.create(model="smoll", max_tokens=5, messages=HI)
    with pytest.raises(anthropic.BadRequestError, match="context"):
        client.messages.create(
            model="smol", max_tokens=5, messages=[{"role": "user", "content": "word " * 5000}]
        )
    with pytest.raises(anthropic.BadRequestError, match="top_p"):
        client.messages.create(model="smol", max_tokens=5, messages=HI, extra_body={"top_p": 7})
