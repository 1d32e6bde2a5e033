"""Which fields each operation has, and who honours them.

The core set is what every engine of an operation must honour; what an engine
lists in `Capabilities.parameters` comes on top. Besides field names it may list
features inside a field:

    tool_choice.function     a function forced by name
    image_url.remote         images fetched by the engine from http(s) addresses
    text.format              responses: the shape of the answer
    reasoning.effort         responses: how much to think
    tool_choice.none, tool_choice.tool, tool_choice.disable_parallel_tool_use,
    output_config.format, output_config.effort,
    thinking.enabled, thinking.disabled      messages
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.core import Capabilities, Operation
from pilotlight.errors import FieldError, UnsupportedParameterError
from pilotlight.gateway.wire.table import Request, Table
from pilotlight.gateway.wire.tables.chat import CHAT
from pilotlight.gateway.wire.tables.completions import (
    COMPLETIONS,
    DETOKENIZE,
    EMBEDDINGS,
    TOKENIZE,
)
from pilotlight.gateway.wire.tables.messages import COUNT_TOKENS, MESSAGES
from pilotlight.gateway.wire.tables.ollama import OllamaRequest, check_ollama
from pilotlight.gateway.wire.tables.predict import PREDICT
from pilotlight.gateway.wire.tables.rerank import RERANK
from pilotlight.gateway.wire.tables.responses import RESPONSES

__all__ = [
    "TABLES",
    "OllamaRequest",
    "engine_body",
    "handled",
    "honoured",
    "refuse_lacking",
    "validate",
    "validate_ollama",
]

TABLES: Mapping[Operation, Table] = {
    Operation.CHAT: CHAT,
    Operation.COMPLETIONS: COMPLETIONS,
    Operation.EMBEDDINGS: EMBEDDINGS,
    Operation.RESPONSES: RESPONSES,
    Operation.MESSAGES: MESSAGES,
    Operation.COUNT_TOKENS: COUNT_TOKENS,
    Operation.TOKENIZE: TOKENIZE,
    Operation.DETOKENIZE: DETOKENIZE,
    Operation.RERANK: RERANK,
    Operation.PREDICT: PREDICT,
}

# What asks for nothing, so that even an engine that lacks the field may hear it.
_ASKS_NOTHING: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "frequency_penalty": (0, 0.0),
    "presence_penalty": (0, 0.0),
    "logit_bias": ({},),
    "logprobs": (False,),
    "response_format": ({"type": "text"},),
    "stop": ([],),
    "tools": ([],),
    "tool_choice": ("auto", "none"),
}

# What translation to chat carries over: the feature, and the chat field it needs, if any.
_TRANSLATED: Mapping[Operation, Mapping[str, str | None]] = {
    Operation.RESPONSES: {
        "text.format": None,
        "reasoning.effort": "reasoning_effort",
        "tool_choice.function": None,  # sent as "required" with that tool alone
        "parallel_tool_calls": "parallel_tool_calls",
        "image_url.remote": "image_url.remote",
    },
    Operation.MESSAGES: {
        "tool_choice.none": None,
        "tool_choice.tool": None,  # sent as "required" with that tool alone
        "tool_choice.disable_parallel_tool_use": "parallel_tool_calls",
        "output_config.format": None,
        "output_config.effort": "reasoning_effort",
        "thinking.enabled": "reasoning_budget_tokens",
        "thinking.disabled": "chat_template_kwargs",
        "chat_template_kwargs": "chat_template_kwargs",
        "top_k": "top_k",
    },
}


def validate(operation: Operation, body: Mapping[str, Any], capabilities: Capabilities) -> None:
    """Check every field of `body`; nothing is copied or changed.

    Raises:
        FieldError: a wrong type or value, at its dotted path.
        UnsupportedParameterError: a field, value or feature that would be ignored.
    """
    if type(body) is not dict:
        raise FieldError("body", body, "a JSON object")
    TABLES[operation].check(Request(body, capabilities, honoured(operation, capabilities)))


def validate_ollama(
    request: OllamaRequest,
    body: Mapping[str, Any],
    capabilities: Capabilities,
    running: Mapping[str, Any],
) -> None:
    """Like `validate`, for Ollama's bodies; `running` holds the model's load-time options."""
    if type(body) is not dict:
        raise FieldError("body", body, "a JSON object")
    check_ollama(request, body, capabilities, running)


def engine_body(
    operation: Operation, body: Mapping[str, Any], capabilities: Capabilities
) -> Mapping[str, Any]:
    """What a valid `body` becomes on its way to an engine that speaks `operation` itself.

    The very same object where nothing has to go, so that the caller can forward
    the bytes it received (`engine_body(...) is body`).
    """
    request = Request(body, capabilities, honoured(operation, capabilities))
    return TABLES[operation].engine_body(request)


def refuse_lacking(
    operation: Operation, body: Mapping[str, Any], capabilities: Capabilities
) -> None:
    """Refuse in an engine's `body` what this engine doesn't honour though others must.

    Raises:
        UnsupportedParameterError: naming the field.
    """
    for name in capabilities.lacks.get(operation, ()):
        if body.get(name) is not None and not _asks_nothing(name, body[name]):
            raise UnsupportedParameterError(
                f"{name!r} is not honoured by this model's engine",
                param=name,
                hint="leave it out, or ask a model on an engine that has it",
            )


def _asks_nothing(name: str, value: Any) -> bool:
    # `0 == False` in Python, and `logprobs: 0` asks for the token's own.
    known = _ASKS_NOTHING.get(name, ())
    return any(value == each and type(value) is type(each) for each in known)


def handled(operation: Operation) -> frozenset[str]:
    """The fields the gateway itself acts on."""
    return frozenset(TABLES[operation].handled)


def honoured(operation: Operation, capabilities: Capabilities) -> frozenset[str]:
    """The fields beyond the core set that reach the engine, natively or by translation."""
    parameters = capabilities.parameters
    carried = _TRANSLATED.get(operation)
    if carried is None or operation in capabilities.operations:
        return parameters.get(operation, frozenset())
    chat = parameters.get(Operation.CHAT, frozenset())
    return frozenset(name for name, needs in carried.items() if needs is None or needs in chat)
