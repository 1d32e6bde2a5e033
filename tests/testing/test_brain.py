"""What the fake says: the same bytes for the same request, in the shapes that clients read."""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from pilotlight.testing.answer import Answer
from pilotlight.testing.brain import Brain
from pilotlight.testing.options import FakeOptions

CHAT = "/v1/chat/completions"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}


def brain(**options: Any) -> Brain:
    return Brain("pilot", FakeOptions.parse(options))


def ask(path: str = CHAT, *, of: Brain | None = None, **body: Any) -> Answer:
    return (of or brain()).answer(path, json.dumps(body).encode())


def chat(text: str = "hello", *, of: Brain | None = None, **fields: Any) -> Answer:
    return ask(CHAT, of=of, messages=[{"role": "user", "content": text}], **fields)


def said(answer: Answer) -> str:
    content = json.loads(answer.body)["choices"][0]["message"]["content"]
    assert isinstance(content, str)
    return content


def events(answer: Answer) -> list[dict[str, Any]]:
    lines = [chunk.data for chunk in answer.chunks]
    assert lines[-1] == b"data: [DONE]\n\n"
    return [json.loads(line.removeprefix(b"data: ")) for line in lines[:-1]]


def test_an_answer_is_the_same_bytes_every_time() -> None:
    assert chat("one").body == chat("one").body
    assert said(chat("one", max_tokens=6)) == "fume arc pyre torch red core"


@pytest.mark.parametrize(
    "field", [{"seed": 7}, {"temperature": 0.5}, {"top_p": 0.9}, {"logit_bias": {"5": 1}}]
)
def test_every_sampling_field_changes_the_words(field: dict[str, Any]) -> None:
    assert said(chat("one")) != said(chat("one", **field))


def test_it_ends_by_nature_at_its_words_and_by_length_before() -> None:
    whole, cut = chat(max_tokens=100), chat(max_tokens=5)
    assert json.loads(whole.body)["choices"][0]["finish_reason"] == "stop"
    assert json.loads(whole.body)["usage"]["completion_tokens"] == 16
    assert json.loads(cut.body)["choices"][0]["finish_reason"] == "length"
    assert said(whole).startswith(said(cut))


def test_ignore_eos_goes_on_to_the_limit() -> None:
    usage = json.loads(chat(max_tokens=100, ignore_eos=True).body)["usage"]
    assert usage["completion_tokens"] == 100


def test_a_stop_word_ends_the_text_before_it() -> None:
    text = said(chat())
    second = text.split()[1]
    stopped = chat(stop=[second])
    assert said(stopped) == text[: text.index(second)]
    assert json.loads(stopped.body)["choices"][0]["finish_reason"] == "stop"


def test_a_stream_says_what_the_whole_answer_says() -> None:
    streamed = events(chat(stream=True, stream_options={"include_usage": True}))
    text = "".join(e["choices"][0]["delta"].get("content") or "" for e in streamed[:-1])
    assert text == said(chat())
    assert streamed[-1]["choices"] == []
    assert streamed[-1]["usage"] == json.loads(chat().body)["usage"]
    for event in streamed:
        ChatCompletionChunk.model_validate(event)


def test_a_stream_without_usage_still_counts_in_its_timings() -> None:
    last = events(chat(stream=True))[-1]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert "usage" not in last
    assert last["timings"]["predicted_n"] == 16


def test_tokens_that_a_stream_costs_are_those_it_has() -> None:
    for count in (1, 2):
        answer = chat(stream=True, n=count)
        assert sum(chunk.tokens for chunk in answer.chunks) == 16 * count
        assert answer.chunks[0].tokens == 1, "headers come with the first token"


def test_n_choices_differ() -> None:
    body = json.loads(chat(n=3).body)
    texts = [choice["message"]["content"] for choice in body["choices"]]
    assert len(set(texts)) == 3
    assert body["usage"]["completion_tokens"] == 48
    ChatCompletion.model_validate(body)


def test_logprobs_have_as_many_alternatives_as_asked() -> None:
    body = json.loads(chat(logprobs=True, top_logprobs=3, max_tokens=4).body)
    entries = body["choices"][0]["logprobs"]["content"]
    assert [len(entry["top_logprobs"]) for entry in entries] == [3] * 4
    assert "".join(entry["token"] for entry in entries) == body["choices"][0]["message"]["content"]
    ChatCompletion.model_validate(body)
    assert "logprobs" not in json.loads(chat().body)["choices"][0]


def test_echo_says_the_text_back() -> None:
    assert said(chat("echo Grüße, 世界 🔥!")) == "Grüße, 世界 🔥!"


def test_a_tool_is_called_with_arguments_of_its_schema() -> None:
    body = json.loads(chat(tools=[WEATHER], tool_choice="required").body)
    choice = ChatCompletion.model_validate(body).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    call = body["choices"][0]["message"]["tool_calls"][0]["function"]
    assert call["name"] == "weather"
    assert json.loads(call["arguments"]) == {"city": "flame", "days": 1}


def test_a_streamed_tool_call_joins_to_the_whole_one() -> None:
    streamed = events(chat("the weather?", tools=[WEATHER], stream=True))
    calls = [e["choices"][0]["delta"].get("tool_calls") for e in streamed]
    parts = [call[0]["function"]["arguments"] for call in calls if call]
    assert json.loads("".join(parts)) == {"city": "flame", "days": 1}
    assert len(parts) > 1
    for event in streamed:
        ChatCompletionChunk.model_validate(event)


def test_tools_that_nobody_speaks_of_are_left_alone() -> None:
    for choice in ("none", "auto"):
        assert said(chat("hello", tools=[WEATHER], tool_choice=choice))


def test_json_is_said_where_json_is_asked_for() -> None:
    schema = {"type": "object", "properties": {"n": {"enum": [3, 4]}}, "required": ["n"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    assert json.loads(said(chat(response_format=wanted))) == {"n": 3}
    assert isinstance(json.loads(said(chat(response_format={"type": "json_object"}))), dict)


def test_completions() -> None:
    body = json.loads(ask("/v1/completions", prompt="Once", max_tokens=3, logprobs=2).body)
    assert body["usage"]["completion_tokens"] == 3
    assert body["choices"][0]["text"]
    streamed = events(ask("/v1/completions", prompt="Once", max_tokens=3, stream=True))
    text = "".join(event["choices"][0]["text"] for event in streamed)
    assert (
        text
        == json.loads(ask("/v1/completions", prompt="Once", max_tokens=3).body)["choices"][0][
            "text"
        ]
    )
    Completion.model_validate(json.loads(ask("/v1/completions", prompt="Once").body))


def test_a_prompt_of_tokens_is_the_text_it_stands_for() -> None:
    tokens = json.loads(ask("/tokenize", content="Once upon").body)["tokens"]
    by_text, by_tokens = (
        json.loads(ask("/v1/completions", prompt=prompt).body)["choices"]
        for prompt in ("Once upon", tokens)
    )
    assert by_text == by_tokens


def test_embeddings_are_unit_vectors_in_either_encoding() -> None:
    body = json.loads(ask("/v1/embeddings", input=["flame", "ember"]).body)
    CreateEmbeddingResponse.model_validate(body)
    first, second = (item["embedding"] for item in body["data"])
    assert math.isclose(sum(value * value for value in first), 1.0)
    assert first != second
    encoded = ask("/v1/embeddings", input="flame", encoding_format="base64").body
    raw = base64.b64decode(json.loads(encoded)["data"][0]["embedding"])
    assert struct.unpack("<8f", raw) == pytest.approx(first)


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_any_text_survives_tokenize_and_detokenize(text: str) -> None:
    tokens = json.loads(ask("/tokenize", content=text).body)["tokens"]
    assert json.loads(ask("/detokenize", tokens=tokens).body)["content"] == text
    assert all(0 <= token < 2**31 for token in tokens)


@given(st.integers())
def test_an_integer_is_a_token_or_a_clear_error(number: int) -> None:
    answer = ask("/detokenize", tokens=[number])
    if answer.status == 200:
        text = json.loads(answer.body)["content"]
        assert json.loads(ask("/tokenize", content=text).body)["tokens"] == [number]
    else:
        assert str(number) in json.loads(answer.body)["error"]["message"]


def test_too_long_a_prompt_is_refused_as_llama_cpp_does() -> None:
    answer = chat("flame " * 40, of=brain(context=32))
    assert answer.status == 400
    error = json.loads(answer.body)["error"]
    assert error["type"] == "exceed_context_size_error"
    assert (error["n_prompt_tokens"], error["n_ctx"]) == (44, 32)


def test_an_answer_ends_where_the_context_does() -> None:
    usage = json.loads(chat("flame", of=brain(context=10)).body)["usage"]
    assert usage["total_tokens"] == 10


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (CHAT, b"{", 400),
        (CHAT, b"[]", 400),
        (CHAT, b"{}", 400),
        (CHAT, b'{"messages": [1]}', 400),
        (CHAT, b'{"messages": [{"role": "user", "content": "x"}], "tools": [1]}', 400),
        (CHAT, b'{"messages": [{"role": "user", "content": "x"}], "n": "x"}', 400),
        ("/v1/completions", b'{"prompt": 7}', 400),
        ("/v1/embeddings", b'{"input": []}', 400),
        ("/v1/embeddings", b'{"input": "x", "encoding_format": "int8"}', 400),
        ("/tokenize", b"{}", 400),
        ("/v1/responses", b"{}", 404),
        ("/v1/messages", b"{}", 404),
    ],
)
def test_what_is_wrong_is_said(path: str, body: bytes, status: int) -> None:
    answer = brain().answer(path, body)
    assert answer.status == status
    assert json.loads(answer.body)["error"]["code"] == status


def test_images_are_seen_only_with_vision() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "what?"}, image]}]
    assert ask(messages=messages).status == 501
    seeing = ask(messages=messages, of=brain(vision=True))
    assert seeing.status == 200
    assert said(seeing) != said(chat("what?"))
