"""Ollama's API over chat, completions and embeddings, read by the official client's own types."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import httpx
import ollama
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ollama import ChatResponse, EmbeddingsResponse, EmbedResponse, GenerateResponse

from pilotlight.core import Capabilities, Operation
from pilotlight.errors import EngineCrashedError, EngineError, FieldError
from pilotlight.gateway.translate.base import NDJSON, Context, Translation
from pilotlight.gateway.translate.ollama import keep_alive
from pilotlight.gateway.translate.registry import OLLAMA, is_load_request
from pilotlight.gateway.wire.fields import OllamaRequest, validate, validate_ollama

Recorded = Callable[[str], bytes]
CHAT, GENERATE, EMBED = OllamaRequest.CHAT, OllamaRequest.GENERATE, OllamaRequest.EMBED
HI = [{"role": "user", "content": "hi"}]
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
NOON = "2026-01-02T03:04:05Z"


@pytest.fixture
def made(able: Capabilities, context: Context) -> Callable[..., Translation]:
    def make(request: OllamaRequest, **fields: Any) -> Translation:
        body = {"model": "smollm2", **fields}
        validate_ollama(request, body, able, {"num_ctx": 4096})
        translation = OLLAMA[request](body, able, context)
        validate(translation.operation, dict(translation.request), able)
        return translation

    return make


Made = Callable[..., Translation]


def test_a_chat_request(made: Made) -> None:
    translation = made(
        CHAT,
        messages=[
            {"role": "system", "content": "s"},
            {"role": "user", "content": "see", "images": ["iVBORw0"]},
            {
                "role": "assistant",
                "content": "",
                "thinking": "hm",
                "tool_calls": [
                    {"function": {"name": "a", "arguments": {"x": 1}}},
                    {"function": {"name": "b", "arguments": {}}},
                ],
            },
            {"role": "tool", "content": "for b", "tool_name": "b"},
            {"role": "tool", "content": "for a"},
        ],
        tools=[TOOL],
        think="low",
        format={"type": "object"},
        keep_alive="5m",
        logprobs=True,
        top_logprobs=2,
        options={
            "num_predict": 9, "temperature": 0, "top_k": 4, "min_p": 0.1, "repeat_penalty": 1.1,
            "repeat_last_n": -1, "num_keep": 2, "stop": ["X"], "seed": 3, "num_ctx": 4096,
        },
    )  # fmt: skip
    assert translation.operation is Operation.CHAT
    assert translation.streams
    assert translation.content_type == NDJSON

    def call(identity: str, name: str, arguments: str) -> dict[str, Any]:
        function = {"name": name, "arguments": arguments}
        return {"id": identity, "type": "function", "function": function}

    assert translation.request == {
        "model": "smollm2",
        "messages": [
            {"role": "system", "content": "s"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0"}},
                ],
            },
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [call("call_0", "a", '{"x": 1}'), call("call_1", "b", "{}")],
                "reasoning_content": "hm",
            },
            {"role": "tool", "content": "for b", "tool_call_id": "call_1"},
            {"role": "tool", "content": "for a", "tool_call_id": "call_0"},
        ],
        "max_tokens": 9,
        "temperature": 0,
        "top_k": 4,
        "min_p": 0.1,
        "repeat_penalty": 1.1,
        "repeat_last_n": 2**20,
        "n_keep": 2,
        "stop": ["X"],
        "seed": 3,
        "logprobs": True,
        "top_logprobs": 2,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "format", "schema": {"type": "object"}, "strict": True},
        },
        "reasoning_effort": "low",
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [TOOL],
    }


def test_no_limit_is_no_max_tokens(made: Made) -> None:
    for limit in (-1, -2):
        request = made(CHAT, messages=HI, options={"num_predict": limit}).request
        assert "max_tokens" not in request


def test_an_image_of_an_unknown_kind(able: Capabilities, context: Context) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x", "images": ["PGh0bWw"]}]}
    with pytest.raises(FieldError) as caught:
        OLLAMA[CHAT](body, able, context)
    assert caught.value.param == "messages[0].images[0]"


def test_a_result_without_its_call_still_has_an_id(made: Made) -> None:
    request = made(CHAT, messages=[*HI, {"role": "tool", "content": "x"}]).request
    assert request["messages"][1]["tool_call_id"] == "call_0"


def test_a_whole_chat_answer(made: Made, recorded: Recorded) -> None:
    answer = json.loads(made(CHAT, messages=HI, stream=False).answer(recorded("chat.json")))
    ChatResponse.model_validate(answer)
    assert answer == {
        "model": "smollm2",
        "created_at": NOON,
        "message": {
            "role": "assistant",
            "content": "Hello, I'm here to help with any creative writing project",
        },
        "done": True,
        "done_reason": "length",
        "total_duration": 2_000_000_000,
        "load_duration": 500_000_000,
        "prompt_eval_count": 37,
        "prompt_eval_duration": 138_114_000,
        "eval_count": 12,
        "eval_duration": 62_963_000,
    }


def test_what_nobody_measured_is_left_out(able: Capabilities) -> None:
    context = Context(model="m", request_id="r", started_s=1.0, clock_s=lambda: 2.0)
    translation = OLLAMA[CHAT]({"model": "m", "messages": HI}, able, context)
    answer = translation.respond({"choices": [{"message": {"content": "a"}}]})
    assert answer.keys().isdisjoint({"load_duration", "eval_duration", "prompt_eval_count"})


def test_calls_and_thoughts(made: Made, recorded: Recorded) -> None:
    translation = made(CHAT, messages=HI)
    called = ChatResponse.model_validate_json(translation.answer(recorded("chat_tools.json")))
    assert called.message.tool_calls is not None
    assert called.message.tool_calls[0].function.arguments == {"city": "Paris"}
    assert called.done_reason == "stop"
    thought = ChatResponse.model_validate_json(translation.answer(recorded("chat_think.json")))
    assert thought.message.thinking
    assert thought.message.content


def test_logprobs(made: Made, recorded: Recorded) -> None:
    translation = made(CHAT, messages=HI, logprobs=True, top_logprobs=2)
    whole = ChatResponse.model_validate_json(translation.answer(recorded("chat_logprobs.json")))
    assert whole.logprobs is not None
    assert [entry.token for entry in whole.logprobs] == ["Hello", ",", " I"]
    assert whole.logprobs[0].top_logprobs is not None
    assert whole.logprobs[0].top_logprobs[1].token == "I"
    alone = made(CHAT, messages=HI, logprobs=True)
    assert alone.request["top_logprobs"] == 1
    entry = json.loads(alone.answer(recorded("chat_logprobs.json")))["logprobs"][0]
    assert entry.keys() == {"token", "logprob", "bytes"}
    lines = streamed(translation, recorded("chat_logprobs.sse"))
    assert [line["logprobs"][0]["token"] for line in lines[:-1]] == ["Hello", ",", " I", "'m"]


def streamed(translation: Translation, data: bytes) -> list[dict[str, Any]]:
    stream = translation.stream()
    return [json.loads(line) for line in (stream.feed(data) + stream.end()).splitlines()]


@pytest.mark.parametrize("name", ["chat_usage.sse", "chat.sse"])
def test_a_chat_stream(name: str, made: Made, recorded: Recorded) -> None:
    *pieces, last = streamed(made(CHAT, messages=HI), recorded(name))
    for line in (*pieces, last):
        ChatResponse.model_validate(line)
    text = "".join(line["message"]["content"] for line in pieces)
    assert text == "Hello, I'm here to help with any creative writing project"
    assert not any(line["done"] for line in pieces)
    assert (last["done"], last["done_reason"]) == (True, "length")
    assert (last["prompt_eval_count"], last["eval_count"]) == (37, 12)


def test_streamed_calls_come_whole_before_the_last_line(made: Made, recorded: Recorded) -> None:
    [call, last] = streamed(made(CHAT, messages=HI, tools=[TOOL]), recorded("chat_tools.sse"))
    function = {"index": 0, "name": "get_weather", "arguments": {"city": "Paris"}}
    assert call["message"]["tool_calls"] == [{"function": function}]
    assert not call["done"]
    assert last["done"]


def test_streamed_thoughts(made: Made, recorded: Recorded) -> None:
    lines = streamed(made(CHAT, messages=HI), recorded("chat_think.sse"))
    thoughts = "".join(line["message"].get("thinking", "") for line in lines)
    assert thoughts.strip() == "The answer is"


def test_arguments_cut_short_are_an_error(made: Made, recorded: Recorded) -> None:
    data = recorded("chat_tools.sse").replace(b'{"arguments":"}"}', b'{"arguments":""}')
    stream = made(CHAT, messages=HI).stream()
    assert stream.feed(data) == b""
    with pytest.raises(EngineError, match="aren't a JSON object"):
        stream.end()


def test_a_generate_request(made: Made) -> None:
    translation = made(GENERATE, prompt="hi", system="s", think=False, format="json", stream=False)
    assert not translation.streams
    assert translation.request == {
        "model": "smollm2",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}],
        "response_format": {"type": "json_object"},
        "chat_template_kwargs": {"enable_thinking": False},
    }


def test_generate_answers(made: Made, recorded: Recorded) -> None:
    translation = made(GENERATE, prompt="hi")
    whole = GenerateResponse.model_validate_json(translation.answer(recorded("chat_think.json")))
    assert whole.response
    assert whole.thinking
    *pieces, last = streamed(translation, recorded("chat_usage.sse"))
    assert "".join(line["response"] for line in pieces).startswith("Hello, I'm here")
    GenerateResponse.model_validate(last)
    assert (last["response"], last["done"], last["eval_count"]) == ("", True, 12)


def test_raw_goes_to_completions(made: Made, recorded: Recorded) -> None:
    translation = made(GENERATE, prompt="The sky is", raw=True, format={"a": 1}, logprobs=True)
    assert translation.operation is Operation.COMPLETIONS
    assert translation.request == {
        "model": "smollm2",
        "prompt": "The sky is",
        "stream": True,
        "stream_options": {"include_usage": True},
        "logprobs": 1,
        "json_schema": {"a": 1},
    }
    answer = json.loads(translation.answer(recorded("completions.json")))
    assert answer["response"] == " a canvas of endless possibilities"
    *pieces, last = streamed(translation, recorded("completions.sse"))
    assert "".join(line["response"] for line in pieces) == answer["response"]
    assert (last["prompt_eval_count"], last["eval_count"]) == (3, 5)
    probable = json.loads(translation.answer(recorded("completions_logprobs.json")))
    assert [entry["token"] for entry in probable["logprobs"]] == [" a", " canvas"]


def test_embeddings(made: Made, recorded: Recorded) -> None:
    translation = made(EMBED, input=["red", "blue sky"])
    assert translation.request["input"] == ["red", "blue sky"]
    answer = json.loads(translation.answer(recorded("embeddings.json")))
    assert len(EmbedResponse.model_validate(answer).embeddings) == 2
    assert answer["prompt_eval_count"] == 3
    assert "eval_count" not in answer
    old = made(OllamaRequest.EMBEDDINGS, prompt="red").answer(recorded("embeddings.json"))
    assert EmbeddingsResponse.model_validate_json(old).embedding == answer["embeddings"][0]


def test_fewer_dimensions_at_length_one(made: Made, recorded: Recorded) -> None:
    body = recorded("embeddings.json")
    answer = json.loads(made(EMBED, input="red", dimensions=3).answer(body))
    vector = answer["embeddings"][0]
    assert len(vector) == 3
    assert math.hypot(*vector) == pytest.approx(1)
    full = json.loads(made(EMBED, input="red", dimensions=8).answer(body))["embeddings"][0]
    assert vector[1] / vector[0] == pytest.approx(full[1] / full[0])
    with pytest.raises(FieldError, match="at most 8"):
        made(EMBED, input="red", dimensions=9).answer(body)


@pytest.mark.parametrize(
    ("request_", "fields", "expected"),
    [
        (CHAT, {}, True),
        (CHAT, {"messages": []}, True),
        (CHAT, {"messages": HI}, False),
        (GENERATE, {"prompt": ""}, True),
        (GENERATE, {"prompt": "x"}, False),
        (EMBED, {"input": []}, True),
        (EMBED, {"input": "x"}, False),
        (OllamaRequest.EMBEDDINGS, {}, True),
    ],
)
def test_requests_that_only_load(
    request_: OllamaRequest, fields: dict[str, Any], expected: bool
) -> None:
    assert is_load_request(request_, {"model": "m", **fields}) is expected


@pytest.mark.parametrize(("stay", "reason"), [(None, "load"), ("5m", "load"), (0, "unload")])
def test_the_answer_to_a_load(
    stay: str | int | None, reason: str, able: Capabilities, context: Context
) -> None:
    for request in (CHAT, GENERATE):
        loaded = OLLAMA[request]({"model": "m", "keep_alive": stay}, able, context).loaded()
        assert loaded is not None
        assert (loaded["done"], loaded["done_reason"]) == (True, reason)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5m", 300), (30, 30), (0, 0), (-1, math.inf), ("-1", math.inf), ("-1m", math.inf)],
)
def test_keep_alive(value: str | int, seconds: float) -> None:
    assert keep_alive({"keep_alive": value}) == seconds
    assert keep_alive({}) is None


def test_the_official_client_reads_a_stream(made: Made, recorded: Recorded) -> None:
    stream = made(CHAT, messages=HI).stream()
    body = stream.feed(recorded("chat_usage.sse")) + stream.end()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    with ollama.Client(host="http://t", transport=transport) as client:
        parts = list(client.chat(model="m", messages=HI, stream=True))
    assert parts[-1].eval_count == 12
    assert "".join(part.message.content or "" for part in parts).startswith("Hello")


def test_an_early_end_is_an_error(made: Made, recorded: Recorded) -> None:
    stream = made(CHAT, messages=HI).stream()
    assert stream.feed(recorded("chat.sse")[:1500])
    with pytest.raises(EngineCrashedError):
        stream.end()


@given(cuts=st.lists(st.integers(0, 6000), max_size=30))
@pytest.mark.parametrize("name", ["chat_tools.sse", "chat_think.sse", "chat_logprobs.sse"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_every_cut_gives_the_same_bytes(
    name: str, cuts: list[int], made: Made, recorded: Recorded
) -> None:
    data, translation = recorded(name), made(CHAT, messages=HI)
    whole = translation.stream()
    expected = whole.feed(data) + whole.end()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    stream = translation.stream()
    pieces = [stream.feed(data[a:b]) for a, b in itertools.pairwise(edges)]
    assert b"".join(pieces) + stream.end() == expected
