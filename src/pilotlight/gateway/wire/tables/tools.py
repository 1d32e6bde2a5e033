"""Function tools as OpenAI's chat operation spells them."""

from __future__ import annotations

from typing import Any

from pilotlight.errors import FieldError, UnsupportedParameterError
from pilotlight.gateway.wire.checks import (
    array,
    boolean,
    filled_string,
    json_object,
    shape,
    string,
    variant,
)
from pilotlight.gateway.wire.table import Request

ONLY_FUNCTIONS = "describe what you need as a function and run it on your side"

_function = shape(
    {"name": filled_string, "description": string, "parameters": json_object, "strict": boolean},
    "name",
)
tools = array(
    variant(
        "type",
        {"function": shape({"type": string, "function": _function}, "function")},
        ONLY_FUNCTIONS,
    )
)

_call = shape(
    {
        "id": string,
        "type": string,
        "index": lambda path, value: None,
        "function": shape({"name": filled_string, "arguments": string}, "name", "arguments"),
    },
    "id",
    "function",
)
tool_calls = array(variant("type", {"function": _call}, ONLY_FUNCTIONS))

_named = shape({"type": string, "function": shape({"name": filled_string}, "name")}, "function")


def tool_choice(path: str, value: Any) -> None:
    if value in ("none", "auto", "required"):
        return
    if type(value) is not dict:
        raise FieldError(path, value, "'none', 'auto', 'required' or a named function")
    variant("type", {"function": _named}, "name one function, or use 'required'")(path, value)


def one_of_the_tools(path: str, name: str, known: list[str]) -> None:
    if name not in known:
        raise FieldError(path, name, "the name of one of 'tools'", hint=f"there are {known!r}")


def named_tool_choice(request: Request) -> None:
    """A named function only where it is enforced: llama.cpp reads any object as ``auto``."""
    choice = request.body.get("tool_choice")
    if type(choice) is not dict:
        return
    known = [tool["function"]["name"] for tool in request.body.get("tools") or ()]
    one_of_the_tools("tool_choice.function.name", choice["function"]["name"], known)
    if "tool_choice.function" not in request.honoured:
        raise UnsupportedParameterError(
            "'tool_choice' names a function, and this model's engine can't force one by name",
            param="tool_choice",
            hint="send 'required' with only that function in 'tools'",
        )


def choice_without_tools(request: Request) -> None:
    """``required`` with nothing to call would be ignored by the engine."""
    choice = request.body.get("tool_choice")
    if choice not in (None, "none", "auto") and not request.body.get("tools"):
        raise FieldError("tool_choice", choice, "'none' or 'auto', for 'tools' is empty")


def refuse_tools_without_template(request: Request) -> None:
    """Without a tool format in the model's template llama.cpp drops the tools unseen."""
    body = request.body
    if body.get("tools") and not request.capabilities.tools and body.get("tool_choice") != "none":
        raise UnsupportedParameterError(
            "'tools' can't reach this model: its chat template has no place for them",
            param="tools",
            hint="serve a model trained for tool calls, or describe the tools in the prompt",
        )
