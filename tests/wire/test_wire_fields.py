"""Every field of OpenAI's operations: honoured, handled, harmless or refused by name."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pilotlight.core import Capabilities, Operation
from pilotlight.errors import FieldError, RequestError, UnsupportedParameterError
from pilotlight.gateway.wire.fields import TABLES, engine_body, handled, validate

HI = [{"role": "user", "content": "hi"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": HI, **fields}


def refused(operation: Operation, body: dict[str, Any], able: Capabilities) -> RequestError:
    with pytest.raises(RequestError) as caught:
        validate(operation, body, able)
    return caught.value


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0, "top_p": 1, "max_tokens": 1, "seed": -1, "stop": "x", "n": 2},
        {"stop": ["a", "b", "c", "d", "e"], "logit_bias": {"5": -100, "7": 1.5}},
        {"logprobs": True, "top_logprobs": 20, "frequency_penalty": -2, "presence_penalty": 2},
        {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}},
        {"response_format": {"type": "json_object"}, "max_completion_tokens": 5},
        {"stream": True, "stream_options": {"include_usage": True}, "keep_alive": "5m"},
        {"user": "u", "metadata": {"team": "a"}, "safety_identifier": "s", "keep_alive": -1},
        {"store": False, "service_tier": "auto", "modalities": ["text"], "functions": []},
        {
            "temperature": None,
            "tools": None,
            "audio": None,
            "store": None,
            "web_search_options": None,
        },
        {"top_k": 40, "grammar": 'root ::= "a"', "reasoning_effort": "low"},
        {"messages": [{"role": "developer", "content": "x"}, *HI]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, IMAGE]}]},
        {
            "messages": [
                *HI,
                {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None},
                {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            ]
        },
    ],
)
def test_valid_chat_passes(fields: dict[str, Any], able: Capabilities) -> None:
    validate(Operation.CHAT, chat(**fields), able)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages[0].content[0].text",
        ),
        ({"messages": [*HI, {"role": "assistant"}]}, "messages[1].content"),
        ({"messages": [*HI, {"role": "tool", "content": "x"}]}, "messages[1].tool_call_id"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{**CALL, "function": {}}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"model": ""}, "model"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 1.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 2**40}, "max_tokens"),
        ({"max_tokens": 1.0}, "max_tokens"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"seed": 1.5}, "seed"),
        ({"stop": ["a", 1]}, "stop[1]"),
        ({"logit_bias": {"a": 1}}, "logit_bias.a"),
        ({"logit_bias": {"1": 101}}, "logit_bias.1"),
        ({"top_logprobs": 3}, "logprobs"),
        ({"logprobs": 1}, "logprobs"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        (
            {"stream_options": {"continuous_usage_stats": 1}},
            "stream_options.continuous_usage_stats",
        ),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {"name": 1}}]}, "tools[0].function.name"),
        ({"tool_choice": "always"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        (
            {
                "tools": [TOOL],
                "tool_choice": {"type": "function", "function": {"name": "leap"}},
            },
            "tool_choice.function.name",
        ),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": "json"}, "response_format"),
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"top_k": "many"}, "top_k"),
        ({"repeat_last_n": 2**31 - 1}, "repeat_last_n"),  # llama.cpp would allocate 8 GiB
    ],
)
def test_wrong_values_are_named_by_path(
    fields: dict[str, Any], param: str, able: Capabilities
) -> None:
    error = refused(Operation.CHAT, chat(**fields), able)
    assert isinstance(error, FieldError)
    assert error.param == param
    assert param in error.message


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"store": True}, "store"),
        ({"store": 0}, "store"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"top_k": 4}, "top_k"),
        ({"tempersture": 1}, "tempersture"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type"),
        ({"tools": [TOOL]}, "tools"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"messages": [{"role": "user", "content": "x", "nmae": "a"}]}, "messages[0].nmae"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "messages[0].content[0].type",
        ),
    ],
)
def test_what_would_be_ignored_is_refused_by_name(
    fields: dict[str, Any], param: str, plain: Capabilities
) -> None:
    error = refused(Operation.CHAT, chat(**fields), plain)
    assert isinstance(error, UnsupportedParameterError)
    assert error.param == param
    assert error.hint


def test_a_misspelt_field_is_met_with_the_right_one(plain: Capabilities) -> None:
    assert refused(Operation.CHAT, chat(tempersture=1), plain).hint == "did you mean 'temperature'?"


def test_a_named_function_only_where_the_engine_enforces_it(able: Capabilities) -> None:
    body = chat(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "look"}})
    assert refused(Operation.CHAT, body, able).param == "tool_choice"
    parameters = {Operation.CHAT: frozenset({"tool_choice.function"})}
    validate(Operation.CHAT, body, Capabilities(able.operations, parameters, tools=True))


def test_tools_that_nobody_may_call_need_no_template(plain: Capabilities) -> None:
    validate(Operation.CHAT, chat(tools=[TOOL], tool_choice="none"), plain)


@pytest.mark.parametrize("url", ["http://10.0.0.1/a.png", "file:///etc/passwd", "iVBORw0"])
def test_images_never_make_the_engine_fetch(url: str, able: Capabilities) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    body = chat(messages=[{"role": "user", "content": [part]}])
    assert refused(Operation.CHAT, body, able).param == "messages[0].content[0].image_url.url"


def test_remote_images_where_the_engine_lists_them() -> None:
    parameters = {Operation.CHAT: frozenset({"image_url.remote"})}
    engine = Capabilities(frozenset({Operation.CHAT}), parameters, vision=True)
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    validate(Operation.CHAT, chat(messages=[{"role": "user", "content": [part]}]), engine)


@pytest.mark.parametrize("prompt", ["x", ["x", "y"], [1, 2], [[1], [2, 3]], ["x", [1]]])
def test_prompts(prompt: Any, plain: Capabilities) -> None:
    validate(Operation.COMPLETIONS, {"model": "m", "prompt": prompt, "best_of": 1}, plain)
    validate(Operation.EMBEDDINGS, {"model": "m", "input": prompt}, plain)


@pytest.mark.parametrize(
    ("operation", "fields", "param"),
    [
        (Operation.COMPLETIONS, {"prompt": []}, "prompt"),
        (Operation.COMPLETIONS, {"prompt": [1, "x"]}, "prompt[1]"),
        (Operation.COMPLETIONS, {"prompt": [-1]}, "prompt[0]"),
        (Operation.COMPLETIONS, {"prompt": "x", "echo": True}, "echo"),
        (Operation.COMPLETIONS, {"prompt": "x", "echo": 0}, "echo"),
        (Operation.COMPLETIONS, {"prompt": "x", "best_of": 2}, "best_of"),
        (Operation.COMPLETIONS, {"prompt": "x", "suffix": "y"}, "suffix"),
        (Operation.COMPLETIONS, {"prompt": "x", "logprobs": True}, "logprobs"),
        (Operation.EMBEDDINGS, {"input": ""}, "input"),
        (Operation.EMBEDDINGS, {"input": ["x", ""]}, "input[1]"),
        (Operation.EMBEDDINGS, {"input": "x", "encoding_format": "int8"}, "encoding_format"),
        (Operation.EMBEDDINGS, {"input": "x", "dimensions": 8}, "dimensions"),
        (Operation.TOKENIZE, {"content": None}, "content"),
        (Operation.TOKENIZE, {"content": "x", "add_special": 1}, "add_special"),
        (Operation.DETOKENIZE, {"tokens": [1, "2"]}, "tokens[1]"),
        (Operation.DETOKENIZE, {"tokens": "x"}, "tokens"),
    ],
)
def test_the_other_operations(
    operation: Operation, fields: dict[str, Any], param: str, plain: Capabilities
) -> None:
    assert refused(operation, {"model": "m", **fields}, plain).param == param


RESPONSE_CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
RESPONSE_TOOL = {"type": "function", "name": "f", "parameters": {}, "strict": True}


@pytest.mark.parametrize(
    "fields",
    [
        {"input": "hi", "instructions": "be brief", "max_output_tokens": 5, "store": False},
        {"input": [{"role": "user", "content": "hi"}], "include": ["reasoning.encrypted_content"]},
        {"input": [RESPONSE_CALL, {"type": "function_call_output", "call_id": "c", "output": "x"}]},
        {"input": "hi", "tools": [RESPONSE_TOOL], "tool_choice": {"type": "function", "name": "f"}},
        {"input": "hi", "reasoning": {"effort": "low", "summary": "auto"}, "prompt_cache_key": "k"},
        {"input": "hi", "text": {"format": {"type": "json_schema", "name": "a", "schema": {}}}},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]},
    ],
)
def test_valid_responses_pass(fields: dict[str, Any], able: Capabilities) -> None:
    validate(Operation.RESPONSES, {"model": "m", **fields}, able)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": 1}]}, "input[0].content"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
        ({"input": "x", "previous_response_id": "r"}, "previous_response_id"),
        ({"input": "x", "store": True}, "store"),
        ({"input": "x", "background": True}, "background"),
        ({"input": "x", "tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": "x", "tool_choice": "required"}, "tool_choice"),
        ({"input": "x", "truncation": "auto"}, "truncation"),
        ({"input": "x", "include": ["file_search_call.results"]}, "include"),
        ({"input": "x", "text": {"verbosity": "low"}}, "text.verbosity"),
        ({"input": "x", "top_logprobs": 2}, "top_logprobs"),
    ],
)
def test_responses_that_would_be_ignored(
    fields: dict[str, Any], param: str, able: Capabilities
) -> None:
    assert refused(Operation.RESPONSES, {"model": "m", **fields}, able).param == param


def test_a_native_engine_honours_only_what_it_lists(able: Capabilities) -> None:
    """llama.cpp's own /v1/responses takes ``text`` and drops it; the translation doesn't."""
    body = {"model": "m", "input": "x", "text": {"format": {"type": "json_object"}}}
    validate(Operation.RESPONSES, body, able)
    native = Capabilities(able.operations | {Operation.RESPONSES}, able.parameters)
    assert refused(Operation.RESPONSES, body, native).param == "text.format"


def test_images_in_responses(plain: Capabilities, able: Capabilities) -> None:
    part = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0"}
    body = {"model": "m", "input": [{"role": "user", "content": [part]}]}
    validate(Operation.RESPONSES, body, able)
    assert refused(Operation.RESPONSES, body, plain).param == "input[0].content[0]"


def test_a_body_without_extras_is_the_same_object(able: Capabilities) -> None:
    body = chat(temperature=0.5, stream=True, stream_options={"include_usage": True})
    assert engine_body(Operation.CHAT, body, able) is body


def test_engines_see_neither_nulls_nor_what_is_not_theirs(able: Capabilities) -> None:
    body = chat(user="u", store=False, keep_alive=5, seed=None, temperature=1, top_k=3)
    assert engine_body(Operation.CHAT, body, able) == chat(temperature=1, top_k=3)
    completion = {"model": "m", "prompt": "x", "best_of": 1, "suffix": None, "echo": False}
    assert engine_body(Operation.COMPLETIONS, completion, able) == {"model": "m", "prompt": "x"}


def test_nulls_in_a_message_sent_back_are_taken_out(able: Capabilities) -> None:
    echoed = {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None}
    sent = engine_body(Operation.CHAT, chat(messages=[*HI, echoed]), able)["messages"]
    assert sent[1] == {"role": "assistant", "content": None, "tool_calls": [CALL]}
    assert "refusal" in echoed


@pytest.mark.parametrize("operation", list(Operation))
def test_no_field_is_in_two_places(operation: Operation) -> None:
    table = TABLES[operation]
    placed = [*table.core, *table.handled, *table.no_op]
    assert len(placed) == len(set(placed))
    assert handled(operation) >= {"model"}


@pytest.mark.parametrize("operation", list(Operation))
def test_a_body_is_an_object(operation: Operation, able: Capabilities) -> None:
    with pytest.raises(FieldError, match="'body'"):
        validate(operation, [], able)  # type: ignore[arg-type]


def test_a_typical_chat_body_costs_next_to_nothing(able: Capabilities) -> None:
    """Under 50 µs, so that validation never shows next to the 240 µs the whole gateway may add."""
    messages = [{"role": "user", "content": "hi there"}, {"role": "assistant", "content": "hi"}] * 4
    body = chat(messages=messages, temperature=0.7, top_p=0.9, max_tokens=100, stream=True)
    best_s = float("inf")
    for _ in range(20):
        began_s = time.perf_counter()
        for _ in range(50):
            validate(Operation.CHAT, body, able)
        best_s = min(best_s, (time.perf_counter() - began_s) / 50)
    assert best_s < 50e-6
