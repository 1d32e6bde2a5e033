"""No body makes validation or translation fail in any way but by naming the field.

Every spot of a rich valid body is replaced in turn by every kind of junk. What
passes must be carried into a chat body that is valid too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pilotlight.core import Capabilities, Operation
from pilotlight.errors import RequestError
from pilotlight.gateway.translate.base import Context, Translation
from pilotlight.gateway.translate.registry import OLLAMA, TRANSLATIONS, is_load_request
from pilotlight.gateway.wire.fields import OllamaRequest, engine_body, validate, validate_ollama

JUNK: list[Any] = [
    None, True, 0, -1, 1.5, "", "x", "auto", [], {}, ["x"], [1], [None], [{}], [[]],
    {"type": "text"}, {"type": []}, {"type": "function"}, {"a": None},
]  # fmt: skip
DATA_URL = "data:image/png;base64,iVBORw0"
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHAT_TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}

CHAT = {
    "model": "m",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "x"},
                {"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL], "annotations": []},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ],
    "tools": [CHAT_TOOL],
    "tool_choice": "auto",
    "response_format": FORMAT,
    "stop": ["a"],
    "logit_bias": {"1": 1},
    "stream_options": {"include_usage": True},
    "metadata": {"a": "b"},
}
MESSAGES = {
    "model": "m",
    "max_tokens": 3,
    "system": [{"type": "text", "text": "s"}],
    "messages": [
        {
            "role": "user",
            "content": [
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "iV"},
                }
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "x"},
                {"type": "tool_use", "id": "c", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c",
                    "content": [{"type": "text", "text": "x"}],
                }
            ],
        },
    ],
    "tools": [{"name": "f", "input_schema": {}}],
    "tool_choice": {"type": "any"},
    "thinking": {"type": "enabled", "budget_tokens": 3},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "metadata": {"user_id": "x"},
}
RESPONSES = {
    "model": "m",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "x"},
                {"type": "input_image", "image_url": DATA_URL},
            ],
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "x"}],
            "content": [{"type": "reasoning_text", "text": "x"}],
        },
    ],
    "tools": [{"type": "function", "name": "f"}],
    "tool_choice": {"type": "function", "name": "f"},
    "text": {"format": {"type": "json_schema", "name": "a", "schema": {}}},
    "reasoning": {"effort": "low"},
    "metadata": {},
}
OLLAMA_BODIES: dict[OllamaRequest, dict[str, Any]] = {
    OllamaRequest.CHAT: {
        "model": "m",
        "messages": [
            {"role": "user", "content": "x", "images": ["iVBORw0"]},
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
            {"role": "tool", "content": "x", "tool_name": "f"},
        ],
        "tools": [CHAT_TOOL],
        "options": {"top_k": 3, "stop": ["a"], "num_predict": 3},
        "think": True,
        "format": {"a": 1},
        "logprobs": True,
        "top_logprobs": 2,
        "keep_alive": "5m",
    },
    OllamaRequest.GENERATE: {
        "model": "m",
        "prompt": "x",
        "images": ["iVBORw0"],
        "system": "x",
        "options": {"seed": 1},
        "format": "json",
    },
    OllamaRequest.EMBED: {"model": "m", "input": ["x"], "options": {}, "dimensions": 2},
    OllamaRequest.EMBEDDINGS: {"model": "m", "prompt": "x"},
}


def mutants(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in spots(body):
        for junk in JUNK:
            yield replaced(body, path, junk)
        yield replaced(body, path, None, drop=True)


def spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in inner if isinstance(value, dict | list) else ():
        yield from spots(each, (*path, key)) if isinstance(each, dict | list) else [(*path, key)]


def replaced(
    body: dict[str, Any], path: tuple[Any, ...], junk: Any, *, drop: bool = False
) -> dict[str, Any]:
    copy = json.loads(json.dumps(body))
    at = copy
    for key in path[:-1]:
        at = at[key]
    if drop:
        del at[path[-1]]
    else:
        at[path[-1]] = junk
    return copy  # type: ignore[no-any-return]


def carried(translation: Translation, able: Capabilities) -> None:
    if translation.request.get("messages"):
        validate(translation.operation, dict(translation.request), able)


@pytest.mark.parametrize(
    ("operation", "body"),
    [(Operation.CHAT, CHAT), (Operation.MESSAGES, MESSAGES), (Operation.RESPONSES, RESPONSES)],
)
def test_operations(
    operation: Operation, body: dict[str, Any], able: Capabilities, context: Context
) -> None:
    validate(operation, body, able)
    unnamed: list[str] = []
    refused = 0
    for mutant in mutants(body):
        try:
            validate(operation, mutant, able)
        except RequestError as error:
            refused += 1
            if not error.param:
                unnamed.append(error.message)
            continue
        engine_body(operation, mutant, able)
        if operation in TRANSLATIONS:
            carried(TRANSLATIONS[operation](mutant, able, context), able)
    assert refused > 500
    assert unnamed == []


@pytest.mark.parametrize("request_", list(OLLAMA_BODIES))
def test_ollama(request_: OllamaRequest, able: Capabilities, context: Context) -> None:
    body = OLLAMA_BODIES[request_]
    validate_ollama(request_, body, able, {})
    unnamed: list[str] = []
    refused = 0
    for mutant in mutants(body):
        try:
            validate_ollama(request_, mutant, able, {})
            is_load_request(request_, mutant)
            translation = OLLAMA[request_](mutant, able, context)
        except RequestError as error:
            refused += 1
            if not error.param:
                unnamed.append(error.message)
            continue
        carried(translation, able)
    assert refused > 20
    assert unnamed == []
