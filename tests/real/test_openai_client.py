"""The official openai client against the real model."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from .server import Server

pytestmark = pytest.mark.real

HI: Any = [{"role": "user", "content": "Count from one to five."}]
STORY: Any = [{"role": "user", "content": "Write a long story about the sea."}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture
def client(shared: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{shared.url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def test_models(client: openai.OpenAI) -> None:
    assert {model.id for model in client.models.list()} == {"smol", "caller", "embedder"}
    assert client.models.retrieve("smol").owned_by == "pilotlight"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody")


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="smol", messages=STORY, max_tokens=12, temperature=0
    )
    assert answer.model == "smol"
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12
    assert answer.choices[0].finish_reason == "length"


def test_chat_streams_and_counts_when_asked(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="smol",
        messages=STORY,
        max_tokens=12,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    pieces = [
        c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content
    ]
    assert len(pieces) > 5
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 12


def test_seed_repeats_and_temperature_zero_is_greedy(client: openai.OpenAI) -> None:
    def ask(**fields: Any) -> str | None:
        answer = client.chat.completions.create(model="smol", messages=HI, max_tokens=16, **fields)
        return answer.choices[0].message.content

    assert ask(seed=7, temperature=1.0) == ask(seed=7, temperature=1.0)
    assert ask(temperature=0) == ask(temperature=0)


def test_stop_cuts_before_the_text(client: openai.OpenAI) -> None:
    whole = (
        client.chat.completions.create(model="smol", messages=HI, max_tokens=30, temperature=0)
        .choices[0]
        .message.content
    )
    assert whole is not None
    word = whole.split()[3]
    cut = client.chat.completions.create(
        model="smol", messages=HI, max_tokens=30, temperature=0, stop=[word]
    ).choices[0]
    assert word not in (cut.message.content or "")
    assert cut.finish_reason == "stop"


def test_n_gives_so_many_choices(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="smol", messages=HI, max_tokens=6, n=2)
    assert sorted(choice.index for choice in answer.choices) == [0, 1]


def test_logprobs(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="smol", messages=HI, max_tokens=4, logprobs=True, top_logprobs=3
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert len(logprobs.content) == 4
    for token in logprobs.content:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 3
        assert sum(math.exp(top.logprob) for top in token.top_logprobs) <= 1.001


def test_logit_bias_forbids_a_token(client: openai.OpenAI, shared: Server) -> None:
    def first(**fields: Any) -> Any:
        answer = client.completions.create(
            model="smol", prompt="The capital of France is", max_tokens=1, temperature=0, **fields
        )
        return answer.choices[0].text

    import urllib.request

    word = first()
    body = json.dumps({"model": "smol", "content": word, "add_special": False}).encode()
    with urllib.request.urlopen(f"{shared.url}/tokenize", body) as answer:
        token = json.loads(answer.read())["tokens"][0]
    assert first(logit_bias={str(token): -100}) != word


def test_penalties_are_taken(client: openai.OpenAI) -> None:
    def ask(penalty: float) -> str | None:
        return (
            client.chat.completions.create(
                model="smol",
                messages=[{"role": "user", "content": "Say la la la la la la."}],
                max_tokens=40,
                temperature=0,
                frequency_penalty=penalty,
                presence_penalty=penalty,
            )
            .choices[0]
            .message.content
        )

    assert ask(0.0) != ask(2.0)


def test_a_schema_is_kept(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="smol",
        messages=[{"role": "user", "content": "Invent a person."}],
        max_tokens=60,
        temperature=0,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "person", "schema": PERSON, "strict": True},
        },
    )
    person = json.loads(answer.choices[0].message.content or "")
    assert set(person) == {"name", "age"}
    assert isinstance(person["age"], int)


def called(city: str) -> Any:
    function = {"name": "get_weather", "arguments": json.dumps({"city": city})}
    call = {"id": f"call-{city}", "type": "function", "function": function}
    return [
        {"role": "user", "content": f"What is the weather in {city}?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    ]


# 135M parameters call a tool once they have seen it done.
ASKED: Any = [
    *called("Rome"),
    *called("Oslo"),
    {"role": "user", "content": "What is the weather in Paris?"},
]


@pytest.mark.parametrize("choice", ["required", "auto"])
def test_tools(client: openai.OpenAI, choice: Any) -> None:
    answer = client.chat.completions.create(
        model="caller",
        messages=ASKED,
        tools=[WEATHER],
        tool_choice=choice,
        max_tokens=60,
        temperature=0,
    ).choices[0]
    assert answer.finish_reason == "tool_calls"
    assert answer.message.tool_calls
    call: Any = answer.message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert set(json.loads(call.function.arguments)) == {"city"}


def test_tools_stream(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="caller",
        messages=ASKED,
        tools=[WEATHER],
        max_tokens=60,
        temperature=0,
        stream=True,
    )
    arguments = ""
    for chunk in stream:
        for call in chunk.choices[0].delta.tool_calls or () if chunk.choices else ():
            arguments += (call.function.arguments or "") if call.function else ""
    assert set(json.loads(arguments)) == {"city"}


def test_tools_a_model_cannot_see_are_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="template"):
        client.chat.completions.create(model="smol", messages=HI, tools=[WEATHER])


def test_completions(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="smol", prompt="Once upon a time", max_tokens=8)
    assert answer.choices[0].text
    streamed = client.completions.create(
        model="smol", prompt="Once upon a time", max_tokens=8, stream=True
    )
    assert len(list(streamed)) >= 8


def test_embeddings(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(
        model="embedder", input=["a cat sat", "a cat sat", "stock markets"]
    )
    same, again, other = (row.embedding for row in answer.data)
    assert dot(same, again) == pytest.approx(1.0, abs=1e-3)
    assert dot(same, other) < 0.999
    with pytest.raises(openai.BadRequestError, match="embeddings"):
        client.embeddings.create(model="smol", input="x")


def dot(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def test_responses(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="smol", input="Say hi.", max_output_tokens=12)
    assert answer.output_text
    events = list(
        client.responses.create(model="smol", input="Say hi.", max_output_tokens=12, stream=True)
    )
    kinds = [event.type for event in events]
    assert "response.output_text.delta" in kinds
    assert kinds[-1] in ("response.completed", "response.incomplete")


def test_errors_are_the_clients_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="smoll", messages=HI)
    assert "did you mean 'smol'" in str(missing.value)
    with pytest.raises(openai.BadRequestError) as long:
        client.chat.completions.create(
            model="smol", messages=[{"role": "user", "content": "word " * 5000}]
        )
    assert long.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model="smol", messages=HI, temperature=-3)
    with pytest.raises(openai.BadRequestError, match="grammer"):
        client.chat.completions.create(model="smol", messages=HI, extra_body={"grammer": "x"})
