"""Ollama's request bodies, checked in Ollama's own names before any translation."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pilotlight.core import Capabilities, Operation
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
    shape,
    string,
    string_or,
    strings,
)
from pilotlight.gateway.wire.table import NoOp, Request, Table
from pilotlight.gateway.wire.tables.content import refuse_images
from pilotlight.gateway.wire.tables.handled import MODEL
from pilotlight.gateway.wire.tables.ollama_options import check_options
from pilotlight.gateway.wire.tables.tools import tools


class OllamaRequest(StrEnum):
    """One body an Ollama client sends."""

    CHAT = "chat"
    GENERATE = "generate"
    EMBED = "embed"
    EMBEDDINGS = "embeddings"
    SHOW = "show"


_call = shape(
    {
        "id": string,
        "type": string,
        "function": shape(
            {
                "index": integer(0, INT32_MAX),
                "name": filled_string,
                "description": string,
                "arguments": json_object,
            },
            "name",
            "arguments",
        ),
    },
    "function",
)
_message = shape(
    {
        "role": string,
        "content": string,
        "thinking": string,
        "images": array(filled_string),
        "tool_calls": array(_call),
        "tool_name": string,
        "name": string,
        "tool_call_id": string,
    },
    "role",
)
_ROLES = ("system", "user", "assistant", "tool")


def _messages(request: Request) -> None:
    for index, message in enumerate(request.body.get("messages") or ()):
        path = f"messages[{index}]"
        if message["role"] not in _ROLES:
            raise FieldError(
                f"{path}.role", message["role"], "one of " + ", ".join(map(repr, _ROLES))
            )
        if message.get("content") is None and not message.get("tool_calls"):
            raise FieldError(f"{path}.content", None, "a string")
        if message.get("images"):
            refuse_images(f"{path}.images", request)


def _images(request: Request) -> None:
    if request.body.get("images"):
        refuse_images("images", request)


def _format(path: str, value: Any) -> None:
    if value in ("", "json"):
        return
    if type(value) is not dict:
        raise FieldError(path, value, "'json' or a JSON schema")


def _think(path: str, value: Any) -> None:
    if type(value) is not bool and value not in ("low", "medium", "high"):
        raise FieldError(path, value, "true, false, 'low', 'medium' or 'high'")


def _think_honoured(request: Request) -> None:
    """A model that can't think is already at ``think: false``."""
    think = request.body.get("think")
    if think is None or (think is False and not request.capabilities.thinking):
        return
    if not request.capabilities.thinking:
        raise UnsupportedParameterError(
            f"'think' is {think!r}, and this model doesn't think", param="think",
            hint="leave it out",
        )  # fmt: skip
    needed = "reasoning_effort" if type(think) is str else "chat_template_kwargs"
    if needed not in request.capabilities.parameters.get(Operation.CHAT, frozenset()):
        raise UnsupportedParameterError(
            f"'think' can't be {think!r} with this model's engine", param="think",
            hint="leave it out",
        )  # fmt: skip


def _logprobs(request: Request) -> None:
    if request.body.get("top_logprobs") and not request.body.get("logprobs"):
        raise FieldError("logprobs", request.body.get("logprobs"), "true, for 'top_logprobs'")


def _tools(request: Request) -> None:
    if request.body.get("tools") and not request.capabilities.tools:
        raise UnsupportedParameterError(
            "'tools' can't reach this model: its chat template has no place for them",
            param="tools",
            hint="serve a model trained for tool calls, or describe the tools in the prompt",
        )


def _raw(request: Request) -> None:
    """``raw`` sends the prompt as it is, so nothing that a template would place can come along."""
    body = request.body
    if not body.get("raw"):
        return
    for name in ("system", "images", "think"):
        if body.get(name):
            raise UnsupportedParameterError(
                f"{name!r} needs the chat template, which 'raw' leaves out", param=name,
                hint="drop 'raw', or write it into 'prompt'",
            )  # fmt: skip
    extras = request.capabilities.parameters.get(Operation.COMPLETIONS, frozenset())
    if body.get("format") and "json_schema" not in extras:
        raise UnsupportedParameterError(
            "'format' isn't honoured with 'raw' by this model's engine", param="format",
            hint="drop 'raw'",
        )  # fmt: skip


_NEVER_CUT = "a prompt over the context is refused, never cut"
_GENERATES: Mapping[str, Check] = {
    "options": json_object,
    "format": _format,
    "think": _think,
    "logprobs": boolean,
    "top_logprobs": integer(0, 20),
}
_HANDLED: Mapping[str, Check] = {**MODEL, "name": filled_string, "stream": boolean}
_GENERATES_NO_OP = {
    "truncate": NoOp((False,), _NEVER_CUT, "send a shorter prompt"),
    "shift": NoOp((False,), "the context is not shifted", "send a shorter prompt"),
}
_TOO_OLD = NoOp(([],), "contexts of tokens are not kept", "use /api/chat with all messages")
_NO_PICTURES = NoOp((), "nothing here draws images")
_NO_TEMPLATE = NoOp(("",), "the model's own template is used", "use 'raw' with the whole prompt")

TABLES: Mapping[OllamaRequest, Table] = {
    OllamaRequest.CHAT: Table(
        required=("model",),
        core={**_GENERATES, "messages": array(_message), "tools": tools},
        handled=_HANDLED,
        no_op=_GENERATES_NO_OP,
        relations=(_messages, _tools, _think_honoured, _logprobs),
    ),
    OllamaRequest.GENERATE: Table(
        required=("model",),
        core={
            **_GENERATES,
            "prompt": string,
            "system": string,
            "raw": boolean,
            "images": array(filled_string),
        },
        handled=_HANDLED,
        no_op={
            **_GENERATES_NO_OP,
            "suffix": NoOp(("",), "this model's engine doesn't fill in the middle"),
            "template": _NO_TEMPLATE,
            "context": _TOO_OLD,
            "width": _NO_PICTURES,
            "height": _NO_PICTURES,
            "steps": _NO_PICTURES,
        },
        relations=(_images, _raw, _think_honoured, _logprobs),
    ),
    OllamaRequest.EMBED: Table(
        required=("model", "input"),
        core={
            "input": string_or(strings),
            "dimensions": integer(1, INT32_MAX),
            "options": json_object,
        },
        handled=_HANDLED,
        no_op={"truncate": NoOp((False,), _NEVER_CUT, "send a shorter input")},
    ),
    OllamaRequest.EMBEDDINGS: Table(
        required=("model",),
        core={"prompt": string, "options": json_object},
        handled=_HANDLED,
    ),
    OllamaRequest.SHOW: Table(
        required=(),
        core={},
        handled={**_HANDLED, "verbose": anything},
    ),
}


def check_ollama(
    request: OllamaRequest,
    body: Mapping[str, Any],
    capabilities: Capabilities,
    running: Mapping[str, Any],
) -> None:
    """Raises FieldError or UnsupportedParameterError in Ollama's names.

    `running` is what the model runs with, by Ollama's option names (``num_ctx`` …):
    a load-time option is fine when it asks for exactly that.
    """
    if body.get("model") is None and body.get("name") is not None:  # Ollama's older name
        body = {**body, "model": body["name"]}
    if request is OllamaRequest.SHOW and body.get("model") is None:
        raise FieldError("model", None, "the name of a model")
    TABLES[request].check(Request(body, capabilities))
    if body.get("options"):
        operation = Operation.COMPLETIONS if body.get("raw") else Operation.CHAT
        generates = request in (OllamaRequest.CHAT, OllamaRequest.GENERATE)
        check_options(body["options"], capabilities, running, operation if generates else None)
