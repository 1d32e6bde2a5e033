"""Anthropic's messages and count_tokens."""

from __future__ import annotations

from typing import Any

from pilotlight.errors import FieldError, UnsupportedParameterError
from pilotlight.gateway.wire.checks import (
    INT32_MAX,
    Check,
    anything,
    array,
    boolean,
    filled_string,
    integer,
    json_object,
    number,
    one_of,
    shape,
    string,
    string_or,
    strings,
    variant,
)
from pilotlight.gateway.wire.suggest import did_you_mean
from pilotlight.gateway.wire.table import NoOp, Request, Table
from pilotlight.gateway.wire.tables.content import refuse_images
from pilotlight.gateway.wire.tables.handled import MODEL
from pilotlight.gateway.wire.tables.sampling import EXTRAS
from pilotlight.gateway.wire.tables.tools import one_of_the_tools

# A hint without an effect of its own: every prompt's prefix is matched with the cache anyway.
_cache_control = {"cache_control": json_object}
_TEXT_HINT = "send its text in a text block"


def _no_citations(path: str, value: Any) -> None:
    if value:
        raise UnsupportedParameterError(f"{path!r}: nothing here cites", param=path)


_text = shape(
    {"type": string, "text": string, "citations": _no_citations, **_cache_control}, "text"
)
_media_type = one_of("image/png", "image/jpeg", "image/gif", "image/webp")
_base64 = shape(
    {"type": string, "media_type": _media_type, "data": filled_string}, "data", "media_type"
)
_image = shape(
    {
        "type": string,
        "source": variant("type", {"base64": _base64}, "send the image's own bytes as base64"),
        **_cache_control,
    },
    "source",
)
_result_parts = array(variant("type", {"text": _text, "image": _image}, _TEXT_HINT))
_BLOCKS: dict[str, dict[str, Check]] = {
    "user": {
        "text": _text,
        "image": _image,
        "tool_result": shape(
            {
                "type": string,
                "tool_use_id": filled_string,
                "content": string_or(_result_parts),
                "is_error": boolean,
                **_cache_control,
            },
            "tool_use_id",
        ),
    },
    "assistant": {
        "text": _text,
        "thinking": shape({"type": string, "thinking": string, "signature": string}, "thinking"),
        "tool_use": shape(
            {
                "type": string,
                "id": filled_string,
                "name": filled_string,
                "input": json_object,
                "caller": json_object,
                **_cache_control,
            },
            "id",
            "name",
            "input",
        ),
    },
}
_CONTENT = {role: array(variant("type", blocks, _TEXT_HINT)) for role, blocks in _BLOCKS.items()}


def _messages(request: Request) -> None:
    for index, message in enumerate(request.body["messages"]):
        path = f"messages[{index}]"
        json_object(path, message)
        role = message.get("role")
        if type(role) is not str or role not in _CONTENT:
            raise FieldError(f"{path}.role", role, "'user' or 'assistant'")
        for name in message:
            if name not in ("role", "content"):
                raise UnsupportedParameterError(
                    f"{path + '.' + name!r} is not a field of a message",
                    param=f"{path}.{name}",
                    hint=did_you_mean(name, ("role", "content")),
                )
        content = message.get("content")
        if type(content) is not str:
            _CONTENT[role](f"{path}.content", content)
            _refuse_unseen_images(f"{path}.content", content, request)


def _refuse_unseen_images(path: str, blocks: list[dict[str, Any]], request: Request) -> None:
    for index, block in enumerate(blocks):
        if block["type"] == "image":
            refuse_images(f"{path}[{index}]", request)
        elif block["type"] == "tool_result" and type(block.get("content")) is list:
            _refuse_unseen_images(f"{path}[{index}].content", block["content"], request)


_custom_tool = shape(
    {
        "type": string,
        "name": filled_string,
        "description": string,
        "input_schema": json_object,
        "strict": boolean,
        "eager_input_streaming": boolean,
        **_cache_control,
    },
    "name",
    "input_schema",
)


def _tool(path: str, value: Any) -> None:
    json_object(path, value)
    if value.get("type") not in (None, "custom"):
        raise UnsupportedParameterError(
            f"{path + '.type'!r} is {value['type']!r}, a tool that only Anthropic's servers run",
            param=f"{path}.type",
            hint="describe it as a custom tool and run it on your side",
        )
    _custom_tool(path, value)


_choice = {"type": string, "disable_parallel_tool_use": boolean}
_tool_choice = variant(
    "type",
    {
        "auto": shape(_choice),
        "any": shape(_choice),
        "none": shape({"type": string}),
        "tool": shape({**_choice, "name": filled_string}, "name"),
    },
    "use 'auto', 'any', 'tool' or 'none'",
)
_thinking = variant(
    "type",
    {
        "enabled": shape({"type": string, "budget_tokens": integer(1, INT32_MAX)}, "budget_tokens"),
        "disabled": shape({"type": string}),
        "adaptive": shape({"type": string}),
    },
    "use 'enabled', 'disabled' or 'adaptive'",
)
_output_config = shape(
    {
        "effort": one_of("low", "medium", "high", "xhigh", "max"),
        "format": shape({"type": one_of("json_schema"), "schema": json_object}, "type", "schema"),
    }
)


def _features(body: Any) -> list[tuple[str, str]]:
    """What a body asks for inside its objects: (feature, the field that asks)."""
    choice, config = body.get("tool_choice") or {}, body.get("output_config") or {}
    asked = []
    if choice.get("type") in ("none", "tool"):
        asked.append((f"tool_choice.{choice['type']}", "tool_choice"))
    if choice.get("disable_parallel_tool_use"):
        asked.append(("tool_choice.disable_parallel_tool_use", "tool_choice"))
    asked += [(f"output_config.{name}", f"output_config.{name}") for name in config if config[name]]
    return asked


def _features_honoured(request: Request) -> None:
    for feature, path in _features(request.body):
        if feature not in request.honoured:
            raise UnsupportedParameterError(
                f"{path!r} asks for {feature!r}, which this model's engine doesn't honour",
                param=path,
                hint="leave it out, or serve the model with an engine that has it",
            )


def _thinking_honoured(request: Request) -> None:
    """A model that can't think is already disabled; ``adaptive`` leaves it to the model."""
    kind = (request.body.get("thinking") or {}).get("type")
    thinks = request.capabilities.thinking
    if kind == "enabled" and not thinks:
        raise UnsupportedParameterError(
            "'thinking' is enabled, and this model doesn't think", param="thinking",
            hint="leave it out",
        )  # fmt: skip
    if (kind == "disabled" and not thinks) or kind in (None, "adaptive"):
        return
    if f"thinking.{kind}" not in request.honoured:
        raise UnsupportedParameterError(
            f"'thinking' can't be {kind!r} with this model's engine", param="thinking",
            hint="leave it out",
        )  # fmt: skip


def _tools_relation(request: Request) -> None:
    body, choice = request.body, request.body.get("tool_choice") or {}
    if choice.get("type") in ("any", "tool") and not body.get("tools"):
        raise FieldError("tool_choice", choice, "'auto' or 'none', for 'tools' is empty")
    if choice.get("type") == "tool":
        known = [tool["name"] for tool in body["tools"]]
        one_of_the_tools("tool_choice.name", choice["name"], known)
    if body.get("tools") and not request.capabilities.tools and choice.get("type") != "none":
        raise UnsupportedParameterError(
            "'tools' can't reach this model: its chat template has no place for them",
            param="tools",
            hint="serve a model trained for tool calls, or describe the tools in the prompt",
        )


_PROMPT: dict[str, Check] = {
    "messages": array(anything, at_least=1),
    "system": string_or(array(variant("type", {"text": _text}, _TEXT_HINT))),
    "tools": array(_tool),
    "tool_choice": _tool_choice,
    "thinking": _thinking,
    "output_config": _output_config,
}
_NO_OP = {
    "container": NoOp((), "there are no containers here"),
    "inference_geo": NoOp((), "the model runs on this server"),
    "speed": NoOp(("standard",), "there is one speed"),
    "service_tier": NoOp(("auto", "standard_only"), "there are no service tiers here"),
    "mcp_servers": NoOp(([],), "this server calls no other", "call it and send a tool_result"),
}
_CACHE = {"cache_control": json_object}
_RELATIONS = (_messages, _tools_relation, _features_honoured, _thinking_honoured)
_EXTRAS = {name: EXTRAS[name] for name in ("top_k", "chat_template_kwargs")}

MESSAGES = Table(
    required=("model", "max_tokens", "messages"),
    core={
        **_PROMPT,
        "max_tokens": integer(1, INT32_MAX),
        "temperature": number(0, 2),
        "top_p": number(0, 1),
        "stop_sequences": strings,
    },
    handled={
        **MODEL,
        **_CACHE,
        "stream": boolean,
        "metadata": shape({"user_id": string}),
    },
    extras=_EXTRAS,
    no_op=_NO_OP,
    relations=_RELATIONS,
)

COUNT_TOKENS = Table(
    required=("model", "messages"),
    core=_PROMPT,
    handled={**MODEL, **_CACHE},
    extras=_EXTRAS,
    no_op=_NO_OP,
    relations=(_messages, _tools_relation),
)
