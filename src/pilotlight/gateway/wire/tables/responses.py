"""OpenAI's responses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    variant,
)
from pilotlight.gateway.wire.table import NoOp, Request, Table
from pilotlight.gateway.wire.tables.chat import response_format
from pilotlight.gateway.wire.tables.content import detail, image_url, refuse_images
from pilotlight.gateway.wire.tables.handled import (
    CACHE_HINT,
    END_USER,
    MODEL,
    NO_CACHE_POLICY,
    NO_MODERATION,
    NO_TIERS,
    NOT_STORED,
    STREAM,
)
from pilotlight.gateway.wire.tables.sampling import EXTRAS
from pilotlight.gateway.wire.tables.tools import (
    ONLY_FUNCTIONS,
    one_of_the_tools,
    refuse_tools_without_template,
)

_PARTS_HINT = "send it as input_text"
_text = {
    "type": string, "text": string, "annotations": anything, "logprobs": anything,
}  # fmt: skip
_image = {"type": string, "image_url": string, "detail": detail, "file_id": string}
_parts = array(
    variant(
        "type",
        {
            "input_text": shape(_text, "text"),
            "output_text": shape(_text, "text"),
            "input_image": shape(_image, "image_url"),
        },
        _PARTS_HINT,
    ),
    at_least=1,
)
_status = {"type": string, "id": string, "status": string}
_message = shape(
    {
        **_status,
        "role": one_of("user", "assistant", "system", "developer"),
        "content": string_or(_parts),
    },
    "role",
    "content",
)
_reasoning_text = shape({"type": string, "text": string}, "text")
_ITEMS: Mapping[str, Check] = {
    "message": _message,
    "function_call": shape(
        {**_status, "call_id": filled_string, "name": filled_string, "arguments": string},
        "call_id",
        "name",
        "arguments",
    ),
    "function_call_output": shape(
        {**_status, "call_id": filled_string, "output": string_or(_parts)}, "call_id", "output"
    ),
    "reasoning": shape(
        {
            **_status,
            "summary": array(_reasoning_text),
            "content": array(_reasoning_text),
            "encrypted_content": string,
        }
    ),
}
_typed_item = variant("type", _ITEMS, "send messages, function calls and their outputs")


def _item(path: str, value: Any) -> None:
    json_object(path, value)
    if value.get("type") is None:  # a message may leave its type out
        _message(path, value)
    else:
        _typed_item(path, value)


_function = shape(
    {
        "type": string,
        "name": filled_string,
        "description": string,
        "parameters": json_object,
        "strict": boolean,
    },
    "name",
)


def _tool_choice(path: str, value: Any) -> None:
    if value in ("none", "auto", "required"):
        return
    if type(value) is not dict:
        raise FieldError(path, value, "'none', 'auto', 'required' or a named function")
    named = shape({"type": string, "name": filled_string}, "name")
    variant("type", {"function": named}, "name one function, or use 'required'")(path, value)


def _text_format(path: str, value: Any) -> None:
    """Chat's response format with the schema one level higher."""
    json_object(path, value)
    if value.get("type") == "json_schema":
        inner = {name: each for name, each in value.items() if name != "type"}
        value = {"type": "json_schema", "json_schema": inner}
    response_format(path, value)


def _images(request: Request) -> None:
    items = request.body["input"]
    if type(items) is str:
        return
    for index, item in enumerate(items):
        for name in ("content", "output"):
            parts = item.get(name)
            if type(parts) is list:
                _images_in(f"input[{index}].{name}", parts, request)


def _images_in(path: str, parts: list[dict[str, Any]], request: Request) -> None:
    for index, part in enumerate(parts):
        if part.get("type") == "input_image":
            refuse_images(f"{path}[{index}]", request)
            image_url(f"{path}[{index}].image_url", part["image_url"], request)


def _asks_format(body: Mapping[str, Any]) -> bool:
    chosen = (body.get("text") or {}).get("format") or {}
    return chosen.get("type") not in (None, "text")


_FEATURES: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "text.format": _asks_format,
    "reasoning.effort": lambda body: bool((body.get("reasoning") or {}).get("effort")),
    "tool_choice.function": lambda body: type(body.get("tool_choice")) is dict,
}


def _features_honoured(request: Request) -> None:
    for feature, asked in _FEATURES.items():
        if asked(request.body) and feature not in request.honoured:
            raise UnsupportedParameterError(
                f"{feature!r} is not honoured by this model's engine",
                param=feature,
                hint="leave it out, or serve the model with an engine that has it",
            )


def _choice_without_tools(request: Request) -> None:
    choice = request.body.get("tool_choice")
    if choice not in (None, "none", "auto") and not request.body.get("tools"):
        raise FieldError("tool_choice", choice, "'none' or 'auto', for 'tools' is empty")
    if type(choice) is dict:
        known = [tool["name"] for tool in request.body["tools"]]
        one_of_the_tools("tool_choice.name", choice["name"], known)


def _verbosity(path: str, value: Any) -> None:
    if value != "medium":
        raise FieldError(path, value, "'medium'", hint="say in the prompt how long to answer")


def _summary(path: str, value: Any) -> None:
    if value != "auto":
        raise FieldError(path, value, "'auto'", hint="the reasoning itself is in the answer")


_STATELESS = "answers are not stored here"
_WHOLE_INPUT = "send the whole conversation in 'input'"

RESPONSES = Table(
    required=("model", "input"),
    core={
        "input": string_or(array(_item, at_least=1)),
        "instructions": string,
        "max_output_tokens": integer(1, INT32_MAX),
        "temperature": number(0, 2),
        "top_p": number(0, 1),
        "tools": array(variant("type", {"function": _function}, ONLY_FUNCTIONS)),
        "tool_choice": _tool_choice,
        "text": shape({"format": _text_format, "verbosity": _verbosity}),
        "reasoning": shape(
            {
                "effort": EXTRAS["reasoning_effort"],
                "summary": _summary,
                "generate_summary": _summary,
            }
        ),
    },
    handled={**MODEL, **STREAM, **END_USER, **CACHE_HINT},
    extras=EXTRAS,
    no_op={
        "store": NOT_STORED,
        "service_tier": NO_TIERS,
        "background": NoOp((False,), _STATELESS, "stream the answer instead"),
        "previous_response_id": NoOp((), _STATELESS, _WHOLE_INPUT),
        "conversation": NoOp((), _STATELESS, _WHOLE_INPUT),
        "prompt": NoOp((), "prompt templates are not stored here", "send their text"),
        # Reasoning travels in the clear in its own items, so there is nothing to encrypt.
        "include": NoOp(([], ["reasoning.encrypted_content"]), "nothing more can be included"),
        "truncation": NoOp(("disabled",), "input is never truncated", "send a shorter input"),
        "parallel_tool_calls": NoOp((True,), "this engine may call several tools at once"),
        "max_tool_calls": NoOp((), "there are no built-in tools to count"),
        "top_logprobs": NoOp((0,), "logprobs are served by chat completions"),
        "context_management": NoOp(([],), "the context is yours to manage", _WHOLE_INPUT),
        "moderation": NO_MODERATION,
        "prompt_cache_retention": NO_CACHE_POLICY,
        "prompt_cache_options": NoOp((), "there is no cache policy per request"),
    },
    relations=(
        _images,
        _features_honoured,
        _choice_without_tools,
        refuse_tools_without_template,
    ),
)
