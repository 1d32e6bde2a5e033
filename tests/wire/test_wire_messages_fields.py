"""Anthropic's fields."""

from __future__ import annotations

from typing import Any

import pytest

from pilotlight.core import Capabilities, Operation
from pilotlight.errors import RequestError
from pilotlight.gateway.wire.fields import validate

HI = [{"role": "user", "content": "hi"}]
TOOL = {"name": "look", "input_schema": {"type": "object"}}
IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0"},
}


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 5, "messages": HI, **fields}


@pytest.mark.parametrize(
    "fields",
    [
        {"system": "s", "temperature": 1, "top_p": 0.5, "top_k": 3, "stop_sequences": ["x"]},
        {"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]},
        {"tools": [TOOL, {**TOOL, "type": "custom"}], "tool_choice": {"type": "any"}},
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "look"}},
        {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"thinking": {"type": "disabled"}, "metadata": {"user_id": "u"}},
        {"output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}}},
        {"service_tier": "auto", "stream": True, "speed": None, "container": None},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, IMAGE]}]},
        {
            "messages": [
                *HI,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "t", "signature": ""},
                        {"type": "tool_use", "id": "c", "name": "look", "input": {}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "c", "content": [IMAGE]},
                        {"type": "tool_result", "tool_use_id": "d", "content": "x"},
                    ],
                },
            ]
        },
    ],
)
def test_valid_messages_pass(fields: dict[str, Any], able: Capabilities) -> None:
    validate(Operation.MESSAGES, body(**fields), able)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x", "id": 1}]}, "messages[0].id"),
        (
            {"messages": [{"role": "user", "content": [{"type": "document"}]}]},
            "messages[0].content[0].type",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "c"}]}]},
            "messages[0].content[0].name",
        ),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tool_choice": {"type": "sometimes"}}, "tool_choice.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
        ({"max_token": 5}, "max_token"),
        ({"metadata": {"user_id": 1}}, "metadata.user_id"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str, able: Capabilities) -> None:
    with pytest.raises(RequestError) as caught:
        validate(Operation.MESSAGES, body(**fields), able)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, "thinking"),
        ({"tools": [TOOL]}, "tools"),
        ({"top_k": 3}, "top_k"),
        ({"output_config": {"effort": "low"}}, "output_config.effort"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages[0].content[0]"),
    ],
)
def test_what_this_model_cannot_do(fields: dict[str, Any], param: str, plain: Capabilities) -> None:
    with pytest.raises(RequestError) as caught:
        validate(Operation.MESSAGES, body(**fields), plain)
    assert caught.value.param == param


def test_a_model_that_cannot_think_is_already_disabled(plain: Capabilities) -> None:
    validate(Operation.MESSAGES, body(thinking={"type": "disabled"}), plain)
    validate(Operation.MESSAGES, body(thinking={"type": "adaptive"}), plain)


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [TOOL], "tool_choice": {"type": "none"}},
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "look"}},
        {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
        {"thinking": {"type": "disabled"}},
    ],
)
def test_a_native_engine_honours_only_what_it_lists(
    fields: dict[str, Any], able: Capabilities
) -> None:
    """llama.cpp's own /v1/messages drops all four; carried over chat they are honoured."""
    validate(Operation.MESSAGES, body(**fields), able)
    native = Capabilities(
        able.operations | {Operation.MESSAGES}, able.parameters, tools=True, thinking=True
    )
    with pytest.raises(RequestError):
        validate(Operation.MESSAGES, body(**fields), native)


def test_counting_needs_no_max_tokens(able: Capabilities) -> None:
    validate(Operation.COUNT_TOKENS, {"model": "m", "messages": HI, "system": "s"}, able)
    with pytest.raises(RequestError, match="stream"):
        validate(Operation.COUNT_TOKENS, {"model": "m", "messages": HI, "stream": True}, able)
