"""OpenAI's responses over chat, read by the official client's own types."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from pilotlight.core import Capabilities, Operation
from pilotlight.errors import EngineCrashedError
from pilotlight.gateway.translate.base import Context, Translation
from pilotlight.gateway.translate.registry import TRANSLATIONS
from pilotlight.gateway.wire.fields import validate
from pilotlight.gateway.wire.sse import EventReader

Recorded = Callable[[str], bytes]
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": True}
BODY = {"model": "smollm2", "input": "hi", "temperature": 0.5, "tools": [TOOL]}
event_type: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


def made(body: dict[str, Any], able: Capabilities, context: Context) -> Translation:
    validate(Operation.RESPONSES, body, able)
    return TRANSLATIONS[Operation.RESPONSES](body, able, context)


@pytest.fixture
def translation(able: Capabilities, context: Context) -> Translation:
    return made(BODY, able, context)


def events(stream: bytes) -> list[dict[str, Any]]:
    found = EventReader().feed(stream)
    for number, event in enumerate(found):
        body = json.loads(event.data)
        assert event.name == body["type"]
        assert body["sequence_number"] == number
        event_type.validate_json(event.data, strict=True)
    return [json.loads(event.data) for event in found]


def test_the_request(able: Capabilities, context: Context) -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0", "detail": "low"}
    body = {
        "model": "smollm2",
        "instructions": "be brief",
        "input": [
            {"role": "developer", "content": "x"},
            {"role": "user", "content": [{"type": "input_text", "text": "hi"}, image]},
            {
                "type": "reasoning",
                "id": "r",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "hm"}],
            },
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "wait", "annotations": []}],
            },
            {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        ],
        "tools": [TOOL, {**TOOL, "name": "other"}],
        "tool_choice": {"type": "function", "name": "get_weather"},
        "parallel_tool_calls": False,
        "max_output_tokens": 9,
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_schema", "name": "a", "schema": {}, "strict": None}},
        "stream": True,
        "store": False,
        "user": "u",
    }
    request = made(body, able, context).request
    validate(Operation.CHAT, dict(request), able)
    call = {"name": "get_weather", "arguments": "{}"}
    function = {"name": "get_weather", "parameters": {"type": "object"}, "strict": True}
    assert request == {
        "model": "smollm2",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "developer", "content": "x"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "hi"},
                    {
                        "type": "image_url",
                        "image_url": {"url": "data:image/png;base64,iVBORw0", "detail": "low"},
                    },
                ],
            },
            {
                "role": "assistant",
                "content": "wait",
                "reasoning_content": "hm",
                "tool_calls": [{"id": "c1", "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
        "max_tokens": 9,
        "tools": [{"type": "function", "function": function}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_whole_answer(translation: Translation, recorded: Recorded) -> None:
    response = Response.model_validate_json(translation.answer(recorded("chat.json")), strict=True)
    assert response.id == "resp_req1"
    assert response.output_text.startswith("Hello, I'm here")
    assert (response.status, response.temperature) == ("incomplete", 0.5)
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (37, 12)


def test_a_tool_call(translation: Translation, recorded: Recorded) -> None:
    response = Response.model_validate_json(translation.answer(recorded("chat_tools.json")))
    [call] = response.output
    assert call.type == "function_call"
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    assert response.status == "completed"


def test_thoughts(translation: Translation, recorded: Recorded) -> None:
    response = Response.model_validate_json(translation.answer(recorded("chat_think.json")))
    assert [item.type for item in response.output] == ["reasoning", "message"]


def test_reasoning_tokens_where_the_engine_counts_them(translation: Translation) -> None:
    usage = {
        "prompt_tokens": 1,
        "completion_tokens": 5,
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    choice = {"message": {"content": "a"}, "finish_reason": "stop"}
    response = translation.respond({"choices": [choice], "usage": usage})
    assert response["usage"]["output_tokens_details"] == {"reasoning_tokens": 3}


@pytest.mark.parametrize(
    ("name", "items", "status"),
    [
        ("chat_usage.sse", ["message"], "incomplete"),
        ("chat_tools.sse", ["function_call"], "completed"),
        ("chat_think.sse", ["reasoning", "message"], "incomplete"),
    ],
)
def test_streams_have_openais_sequence(
    name: str, items: list[str], status: str, translation: Translation, recorded: Recorded
) -> None:
    stream = translation.stream()
    found = events(stream.feed(recorded(name)) + stream.end())
    kinds = [event["type"] for event in found]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == f"response.{status}"
    added = [event["item"] for event in found if event["type"] == "response.output_item.added"]
    done = [event["item"] for event in found if event["type"] == "response.output_item.done"]
    assert [item["type"] for item in added] == items
    assert [item["id"] for item in added] == [item["id"] for item in done]
    assert found[-1]["response"]["output"] == done
    assert found[-1]["response"]["usage"]["total_tokens"] > 0


@pytest.mark.parametrize("name", ["chat_tools", "chat_think", "chat_usage"])
def test_a_stream_ends_in_what_a_whole_answer_says(
    name: str, translation: Translation, recorded: Recorded
) -> None:
    stream = translation.stream()
    last = events(stream.feed(recorded(f"{name}.sse")) + stream.end())[-1]["response"]
    whole = name if name != "chat_usage" else "chat"
    answer = json.loads(translation.answer(recorded(f"{whole}.json")))
    assert last.keys() == answer.keys()
    assert [item.keys() for item in last["output"]] == [item.keys() for item in answer["output"]]
    assert (last["status"], last["id"]) == (answer["status"], answer["id"])


@pytest.mark.parametrize("name", ["chat_tools.sse", "chat_stop.sse"])
def test_the_official_client_puts_the_stream_together(
    name: str, translation: Translation, recorded: Recorded
) -> None:
    stopped = recorded("chat_usage.sse").replace(b'"length"', b'"stop"')
    stream = translation.stream()
    body = stream.feed(stopped if name == "chat_stop.sse" else recorded(name)) + stream.end()
    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=body))
    http = httpx2.Client(transport=transport)
    with (
        openai.OpenAI(api_key="k", base_url="http://t/v1", http_client=http) as client,
        client.responses.stream(model="m", input="x") as streamed,
    ):
        final = streamed.get_final_response()
    assert final.status == "completed"
    [item] = final.output
    if item.type == "function_call":
        assert json.loads(item.arguments) == {"city": "Paris"}
    else:
        assert final.output_text.startswith("Hello, I'm here")


def test_an_empty_answer_is_an_empty_message(translation: Translation) -> None:
    stream = translation.stream()
    data = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    found = events(stream.feed(data) + stream.end())
    [item] = found[-1]["response"]["output"]
    assert item["content"][0]["text"] == ""


def test_an_early_end_is_an_error(translation: Translation, recorded: Recorded) -> None:
    stream = translation.stream()
    assert stream.feed(recorded("chat.sse")[:1500])
    with pytest.raises(EngineCrashedError):
        stream.end()


@given(cuts=st.lists(st.integers(0, 6000), max_size=30))
@pytest.mark.parametrize("name", ["chat_tools.sse", "chat_think.sse"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_every_cut_gives_the_same_bytes(
    name: str, cuts: list[int], translation: Translation, recorded: Recorded
) -> None:
    data = recorded(name)
    whole = translation.stream()
    expected = whole.feed(data) + whole.end()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    stream = translation.stream()
    pieces = [stream.feed(data[a:b]) for a, b in itertools.pairwise(edges)]
    assert b"".join(pieces) + stream.end() == expected
