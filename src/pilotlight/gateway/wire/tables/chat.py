"""OpenAI's chat completions."""

from __future__ import annotations

from pilotlight.errors import FieldError, UnsupportedParameterError
from pilotlight.gateway.wire.checks import (
    INT32_MAX,
    anything,
    array,
    boolean,
    filled_string,
    integer,
    json_object,
    shape,
    string,
    variant,
)
from pilotlight.gateway.wire.table import NoOp, Request, Table
from pilotlight.gateway.wire.tables import tools
from pilotlight.gateway.wire.tables.chat_messages import messages, without_nulls
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
from pilotlight.gateway.wire.tables.sampling import EXTRAS, SAMPLING

json_schema = shape(
    {"name": filled_string, "description": string, "schema": json_object, "strict": boolean},
    "name",
    "schema",
)
response_format = variant(
    "type",
    {
        "text": shape({"type": string}),
        "json_object": shape({"type": string, "schema": json_object}),
        "json_schema": shape({"type": string, "json_schema": json_schema}, "json_schema"),
    },
    "use 'json_schema' to fix the shape of the answer",
)


def logprobs_relation(request: Request) -> None:
    body = request.body
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise FieldError("logprobs", body.get("logprobs"), "true, since 'top_logprobs' is given")


def one_limit(request: Request) -> None:
    old, new = request.body.get("max_tokens"), request.body.get("max_completion_tokens")
    if old is not None and new is not None and old != new:
        raise FieldError("max_tokens", old, f"the same as 'max_completion_tokens' ({new})")


def schema_where_it_is_seen(request: Request) -> None:
    """llama.cpp reads a schema beside ``json_object``; others take no notice of it."""
    wanted = request.body.get("response_format") or {}
    beside = wanted.get("type") == "json_object" and wanted.get("schema") is not None
    if beside and "response_format.schema" not in request.honoured:
        raise UnsupportedParameterError(
            "'response_format.schema' of type 'json_object' is not seen by this model's engine",
            param="response_format.schema",
            hint="ask for type 'json_schema' with the schema in 'json_schema'",
        )


CHAT = Table(
    required=("model", "messages"),
    core={
        **SAMPLING,
        "messages": array(anything, at_least=1),
        "max_completion_tokens": integer(1, INT32_MAX),
        "response_format": response_format,
        "tools": tools.tools,
        "tool_choice": tools.tool_choice,
        "logprobs": boolean,
        "top_logprobs": integer(0, 20),
    },
    handled={**MODEL, **STREAM, **END_USER, **CACHE_HINT},
    extras={name: check for name, check in EXTRAS.items() if name != "response_format"},
    no_op={
        "store": NOT_STORED,
        "service_tier": NO_TIERS,
        "parallel_tool_calls": NoOp((True,), "this engine may call several tools at once"),
        "modalities": NoOp((["text"],), "answers are text"),
        "audio": NoOp((), "answers are text", "ask for text"),
        "prediction": NoOp((), "predicted output is not used", "leave it out"),
        "verbosity": NoOp(("medium",), "this engine has no verbosity", "say it in the prompt"),
        "web_search_options": NoOp((), "nothing here searches the web", "send what you found"),
        "functions": NoOp(([],), "it was replaced by tools", "use 'tools'"),
        "function_call": NoOp(("auto",), "it was replaced by tools", "use 'tool_choice'"),
        "moderation": NO_MODERATION,
        "prompt_cache_retention": NO_CACHE_POLICY,
        "prompt_cache_options": NoOp((), "there is no cache policy per request"),
    },
    relations=(
        messages,
        logprobs_relation,
        one_limit,
        schema_where_it_is_seen,
        tools.choice_without_tools,
        tools.named_tool_choice,
        tools.refuse_tools_without_template,
    ),
    tidy={"messages": without_nulls},
)
