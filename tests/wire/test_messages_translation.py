"""Anthropic's messages over chat, read by the official client's own types."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pilotlight.core import Capabilities, Operation
from pilotlight.errors import EngineCrashedError, EngineError
from pilotlight.gateway.translate.base import Context, Translation
from pilotlight.gateway.translate.registry import TRANSLATIONS
from pilotlight.gateway.wire.fields import validate
from pilotlight.gateway.wire.sse import EventReader

Recorded = Callable[[str], bytes]
BODY = {"model": "smollm2", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
event_type: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


def made(body: dict[str, Any], able: Capabilities, context: Context) -> Translation:
    validate(Operation.MESSAGES, body, able)
    return TRANSLATIONS[Operation.MESSAGES](body, able, context)


@pytest.fixture
def plain_message(able: Capabilities, context: Context) -> Translation:
    return made(BODY, able, context)


def events(stream: bytes) -> list[dict[str, Any]]:
    found = EventReader().feed(stream)
    for event in found:
        body = json.loads(event.data)
        assert event.name == body["type"]
        event_type.validate_json(event.data, strict=True)
    return [json.loads(event.data) for event in found]


def test_the_request(able: Capabilities, context: Context) -> None:
    image = {"type": "base64", "media_type": "image/png", "data": "iVBORw0"}
    body = {
        "model": "smollm2",
        "max_tokens": 9,
        "temperature": 0.5,
        "top_k": 4,
        "stop_sequences": ["X"],
        "stream": True,
        "system": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        "metadata": {"user_id": "u"},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": ""},
                    {"type": "text", "text": "wait"},
                    {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": "é"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "so?"},
                    {"type": "image", "source": image},
                    {"type": "tool_result", "tool_use_id": "c1", "content": "no", "is_error": True},
                ],
            },
        ],
        "tools": [{"name": "look", "description": "d", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 7},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    }
    translation = made(body, able, context)
    assert translation.operation is Operation.CHAT
    assert translation.streams
    request = translation.request
    validate(Operation.CHAT, dict(request), able)
    call = {"name": "look", "arguments": '{"at": "é"}'}
    assert request == {
        "model": "smollm2",
        "messages": [
            {"role": "system", "content": "a\nb"},
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": "wait",
                "tool_calls": [{"id": "c1", "type": "function", "function": call}],
                "reasoning_content": "hm",
            },
            {"role": "tool", "tool_call_id": "c1", "content": "Error: no"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "so?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0"}},
                ],
            },
        ],
        "max_tokens": 9,
        "temperature": 0.5,
        "top_k": 4,
        "stop": ["X"],
        "tools": [
            {
                "type": "function",
                "function": {"name": "look", "parameters": {"type": "object"}, "description": "d"},
            }
        ],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "reasoning_budget_tokens": 7,
        "chat_template_kwargs": {"enable_thinking": True},
        "reasoning_effort": "low",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": {}, "strict": True},
        },
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_tool_forced_by_name_is_the_only_one(able: Capabilities, context: Context) -> None:
    tools: list[dict[str, Any]] = [{"name": name, "input_schema": {}} for name in ("look", "leap")]
    choice = {"type": "tool", "name": "leap"}
    request = made({**BODY, "tools": tools, "tool_choice": choice}, able, context).request
    assert [tool["function"]["name"] for tool in request["tools"]] == ["leap"]
    assert request["tool_choice"] == "required"


def test_thinking_disabled(able: Capabilities, context: Context) -> None:
    request = made({**BODY, "thinking": {"type": "disabled"}}, able, context).request
    assert request["chat_template_kwargs"] == {"enable_thinking": False}


def test_a_whole_answer(plain_message: Translation, recorded: Recorded) -> None:
    answer = plain_message.answer(recorded("chat.json"))
    message = Message.model_validate_json(answer, strict=True)
    assert message.id == "msg_req1"
    assert message.content[0].type == "text"
    assert message.content[0].text.startswith("Hello, I'm here")
    assert message.stop_reason == "max_tokens"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (37, 12)


def test_a_tool_call(plain_message: Translation, recorded: Recorded) -> None:
    message = Message.model_validate_json(plain_message.answer(recorded("chat_tools.json")))
    block = message.content[0]
    assert block.type == "tool_use"
    assert (block.name, block.input) == ("get_weather", {"city": "Paris"})
    assert message.stop_reason == "tool_use"
    assert message.usage.cache_read_input_tokens == 527
    assert message.usage.input_tokens == 1


def test_thoughts(plain_message: Translation, recorded: Recorded) -> None:
    message = Message.model_validate_json(plain_message.answer(recorded("chat_think.json")))
    assert [block.type for block in message.content] == ["thinking", "text"]


def test_the_text_that_stopped_it_where_the_engine_says(plain_message: Translation) -> None:
    choice = {"message": {"content": "a"}, "finish_reason": "stop", "stop_reason": "X"}
    message = plain_message.respond({"choices": [choice]})
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "X")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "isn't JSON"),
        (b"[]", "isn't an object"),
        (b'{"choices": []}', "no choices"),
        (
            b'{"choices":[{"message":{"tool_calls":[{"function":{"name":"f","arguments":"{"}}]}}]}',
            "aren't JSON",
        ),
    ],
)
def test_an_answer_nobody_can_read(plain_message: Translation, body: bytes, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        plain_message.answer(body)


@pytest.mark.parametrize(
    ("name", "blocks", "reason"),
    [
        ("chat_usage.sse", ["text"], "max_tokens"),
        ("chat.sse", ["text"], "max_tokens"),
        ("chat_tools.sse", ["tool_use"], "tool_use"),
        ("chat_think.sse", ["thinking", "text"], "max_tokens"),
    ],
)
def test_streams_have_anthropics_sequence(
    name: str, blocks: list[str], reason: str, plain_message: Translation, recorded: Recorded
) -> None:
    stream = plain_message.stream()
    found = events(stream.feed(recorded(name)) + stream.end())
    kinds = [event["type"] for event in found]
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
    starts = [event for event in found if event["type"] == "content_block_start"]
    assert [event["content_block"]["type"] for event in starts] == blocks
    assert [event["index"] for event in starts] == list(range(len(blocks)))
    assert kinds.count("content_block_stop") == len(blocks)
    assert found[-2]["delta"]["stop_reason"] == reason


@pytest.mark.parametrize("name", ["chat_usage", "chat_tools", "chat_think"])
def test_the_official_client_puts_the_stream_together_as_the_whole_answer(
    name: str, plain_message: Translation, recorded: Recorded
) -> None:
    stream = plain_message.stream()
    body = stream.feed(recorded(f"{name}.sse")) + stream.end()
    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=body))
    http = httpx2.Client(transport=transport)
    with (
        anthropic.Anthropic(api_key="k", base_url="http://t", http_client=http) as client,
        client.messages.stream(model="m", max_tokens=9, messages=[]) as streamed,
    ):
        message = streamed.get_final_message()
    counted = json.loads(recorded(f"{name}.sse").split(b"data: ")[-2])["usage"]
    assert message.usage.output_tokens == counted["completion_tokens"]
    cached = message.usage.cache_read_input_tokens or 0
    assert message.usage.input_tokens + cached == counted["prompt_tokens"]
    last = message.content[-1]
    if last.type == "tool_use":
        assert last.input == {"city": "Paris"}
    else:
        assert last.type == "text"
        assert last.text


def test_text_between_calls_and_a_return_to_an_earlier_call(plain_message: Translation) -> None:
    def chunk(**delta: Any) -> bytes:
        return b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n"

    def call(index: int, text: str, name: str | None = None) -> dict[str, Any]:
        return {"index": index, "id": name, "function": {"name": name, "arguments": text}}

    stream = plain_message.stream()
    found = events(
        stream.feed(
            chunk(content="a")
            + chunk(tool_calls=[call(0, "{", "f")])
            + chunk(tool_calls=[call(1, "{}", "g")])
            + chunk(tool_calls=[call(0, "}")])
            + chunk(content="b")
        )
    )
    pieces = [
        (event["index"], event["delta"].get("partial_json"))
        for event in found
        if event["type"] == "content_block_delta"
    ]
    assert pieces == [(0, None), (1, "{"), (2, "{}"), (1, "}"), (3, None)]


def test_an_early_end_is_an_error(plain_message: Translation, recorded: Recorded) -> None:
    stream = plain_message.stream()
    assert stream.feed(recorded("chat.sse")[:1500])
    with pytest.raises(EngineCrashedError, match="before the end of the answer"):
        stream.end()


def test_a_missing_done_is_not(plain_message: Translation, recorded: Recorded) -> None:
    stream = plain_message.stream()
    stream.feed(recorded("chat_usage.sse").replace(b"data: [DONE]\n\n", b""))
    assert stream.end().endswith(b'data: {"type":"message_stop"}\n\n')


@pytest.mark.parametrize(
    "failure", [b'data: {"error":{"message":"out of memory"}}\n\n', b"data: out of memory\n\n"]
)
def test_an_error_in_the_stream_comes_after_what_was_said(
    failure: bytes, plain_message: Translation, recorded: Recorded
) -> None:
    said = recorded("chat.sse").split(b"\n\n")[:3]
    stream = plain_message.stream()
    assert b"Hello" in stream.feed(b"\n\n".join(said) + b"\n\n" + failure)
    with pytest.raises(EngineError, match="out of memory"):
        stream.end()
    with pytest.raises(EngineError, match="out of memory"):
        stream.feed(b"data: {}\n\n")


@given(cuts=st.lists(st.integers(0, 6000), max_size=30))
@pytest.mark.parametrize("name", ["chat_tools.sse", "chat_think.sse", "chat_usage.sse"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_every_cut_gives_the_same_bytes(
    name: str, cuts: list[int], plain_message: Translation, recorded: Recorded
) -> None:
    data = recorded(name)
    whole = plain_message.stream()
    expected = whole.feed(data) + whole.end()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    stream = plain_message.stream()
    pieces = [stream.feed(data[a:b]) for a, b in itertools.pairwise(edges)]
    assert b"".join(pieces) + stream.end() == expected
