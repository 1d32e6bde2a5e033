"""Ollama's fields, refused in Ollama's own names."""

from __future__ import annotations

from typing import Any

import pytest

from pilotlight.core import Capabilities
from pilotlight.errors import RequestError
from pilotlight.gateway.wire.fields import OllamaRequest, validate_ollama

CHAT, GENERATE, EMBED = OllamaRequest.CHAT, OllamaRequest.GENERATE, OllamaRequest.EMBED
HI = [{"role": "user", "content": "hi"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
RUNNING = {"num_ctx": 4096, "num_thread": 2}


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (CHAT, {}),
        (CHAT, {"messages": HI, "stream": False, "keep_alive": "5m", "format": "json"}),
        (CHAT, {"messages": HI, "think": True, "tools": [TOOL], "logprobs": True}),
        (CHAT, {"messages": HI, "options": {"num_ctx": 4096, "num_predict": -1, "top_k": 5}}),
        (CHAT, {"messages": HI, "options": {"tfs_z": 1.0, "mirostat": 0, "num_gpu": None}}),
        (CHAT, {"messages": [{"role": "user", "content": "x", "images": ["iVBORw0"]}]}),
        (GENERATE, {"prompt": "x", "system": "s", "suffix": "", "context": [], "template": ""}),
        (GENERATE, {"prompt": "x", "raw": True, "format": {"type": "object"}}),
        (EMBED, {"input": ["a", "b"], "dimensions": 4, "truncate": False}),
        (OllamaRequest.EMBEDDINGS, {"prompt": "x", "keep_alive": 0}),
        (OllamaRequest.SHOW, {"verbose": True}),
    ],
)
def test_valid_requests_pass(
    request_: OllamaRequest, fields: dict[str, Any], able: Capabilities
) -> None:
    validate_ollama(request_, {"model": "m", **fields}, able, RUNNING)


def test_the_older_name_of_model(able: Capabilities) -> None:
    validate_ollama(OllamaRequest.SHOW, {"name": "m"}, able, {})
    with pytest.raises(RequestError, match="'model'"):
        validate_ollama(OllamaRequest.SHOW, {}, able, {})


@pytest.mark.parametrize(
    ("request_", "fields", "param"),
    [
        (CHAT, {"messages": [{"role": "user"}]}, "messages[0].content"),
        (CHAT, {"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        (CHAT, {"messages": HI, "format": "yaml"}, "format"),
        (CHAT, {"messages": HI, "think": "hard"}, "think"),
        (CHAT, {"messages": HI, "top_logprobs": 2}, "logprobs"),
        (CHAT, {"messages": HI, "keep_alive": "soon"}, "keep_alive"),
        (CHAT, {"messages": HI, "truncate": True}, "truncate"),
        (CHAT, {"messages": HI, "option": {}}, "option"),
        (CHAT, {"messages": HI, "options": {"num_predict": 0}}, "options.num_predict"),
        (CHAT, {"messages": HI, "options": {"temprature": 1}}, "options.temprature"),
        (CHAT, {"messages": HI, "options": {"tfs_z": 0.5}}, "options.tfs_z"),
        (CHAT, {"messages": HI, "options": {"num_ctx": 8192}}, "options.num_ctx"),
        (CHAT, {"messages": HI, "options": {"num_gpu": 1}}, "options.num_gpu"),
        (GENERATE, {"prompt": "x", "suffix": "y"}, "suffix"),
        (GENERATE, {"prompt": "x", "template": "{{ .Prompt }}"}, "template"),
        (GENERATE, {"prompt": "x", "context": [1, 2]}, "context"),
        (GENERATE, {"prompt": "x", "raw": True, "system": "s"}, "system"),
        (GENERATE, {"prompt": "x", "raw": True, "options": {"min_p": 0.1}}, "options.min_p"),
        (EMBED, {}, "input"),
        (EMBED, {"input": "x", "truncate": True}, "truncate"),
        (EMBED, {"input": "x", "options": {"temperature": 1}}, "options.temperature"),
    ],
)
def test_what_is_wrong_is_named(
    request_: OllamaRequest, fields: dict[str, Any], param: str, able: Capabilities
) -> None:
    with pytest.raises(RequestError) as caught:
        validate_ollama(request_, {"model": "m", **fields}, able, RUNNING)
    assert caught.value.param == param


def test_a_load_time_option_says_what_runs_and_where_to_set_it(able: Capabilities) -> None:
    body = {"model": "m", "messages": HI, "options": {"num_ctx": 8192}}
    with pytest.raises(RequestError, match="runs with 4096") as caught:
        validate_ollama(CHAT, body, able, RUNNING)
    assert caught.value.hint == "set it in the model's options"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"options": {"top_k": 3}}, "options.top_k"),
        ({"think": True}, "think"),
        ({"tools": [TOOL]}, "tools"),
        ({"messages": [{"role": "user", "content": "x", "images": ["iV"]}]}, "messages[0].images"),
    ],
)
def test_what_this_model_cannot_do(fields: dict[str, Any], param: str, plain: Capabilities) -> None:
    with pytest.raises(RequestError) as caught:
        validate_ollama(CHAT, {"model": "m", "messages": HI, **fields}, plain, {})
    assert caught.value.param == param


def test_think_false_is_true_of_a_model_that_cannot(plain: Capabilities) -> None:
    validate_ollama(CHAT, {"model": "m", "messages": HI, "think": False}, plain, {})
