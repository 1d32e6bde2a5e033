"""The rules of ``messages`` in chat: roles, and what each may say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotlight.errors import FieldError, UnsupportedParameterError
from pilotlight.gateway.wire.checks import filled_string, json_object, string
from pilotlight.gateway.wire.suggest import did_you_mean
from pilotlight.gateway.wire.table import Request
from pilotlight.gateway.wire.tables.content import image_part, text_part
from pilotlight.gateway.wire.tables.tools import tool_calls

_ROLES = ("system", "developer", "user", "assistant", "tool")
_COMMON = frozenset({"role", "content", "name"})
_KNOWN = {
    "system": _COMMON,
    "developer": _COMMON,
    "user": _COMMON,
    "tool": _COMMON | {"tool_call_id"},
    "assistant": _COMMON | {"tool_calls", "reasoning_content", "annotations"},
}
_EMPTY_ONLY = frozenset({"annotations"})


def messages(request: Request) -> None:
    """One pass over all messages: nothing is copied, and paths are built only where needed."""
    for index, message in enumerate(request.body["messages"]):
        path = f"messages[{index}]"
        json_object(path, message)
        role = message.get("role")
        known = _KNOWN.get(role) if type(role) is str else None
        if known is None:
            raise FieldError(f"{path}.role", role, "one of " + ", ".join(map(repr, _ROLES)))
        for name, value in message.items():
            if value is not None:
                _field(path, name, value, known, request)
        _complete(path, role, message)


def without_nulls(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages without null fields, which llama.cpp refuses; ``content`` may be null.

    Clients send them when they send an answer's message back as they received it.
    """
    if not any(_has_null(message) for message in messages):
        return messages
    return [
        {name: value for name, value in message.items() if value is not None or name == "content"}
        for message in messages
    ]


def _has_null(message: dict[str, Any]) -> bool:
    return any(value is None and name != "content" for name, value in message.items())


def _field(path: str, name: str, value: Any, known: frozenset[str], request: Request) -> None:
    if name not in known:
        raise UnsupportedParameterError(
            f"{path + '.' + name!r} is not a field of this message",
            param=f"{path}.{name}",
            hint=did_you_mean(name, known),
        )
    if name == "content":
        content(f"{path}.content", value, request)
    elif name in _EMPTY_ONLY:
        if value:
            raise UnsupportedParameterError(
                f"{path + '.' + name!r} is not read by any engine",
                param=f"{path}.{name}",
                hint="leave it out",
            )
    elif name != "role":
        _CHECKS[name](f"{path}.{name}", value)


_CHECKS = {
    "name": filled_string,
    "tool_call_id": filled_string,
    "tool_calls": tool_calls,
    "reasoning_content": string,
}


def _complete(path: str, role: str, message: dict[str, Any]) -> None:
    if role == "tool" and not message.get("tool_call_id"):
        raise FieldError(f"{path}.tool_call_id", None, "the id of the call this answers")
    if message.get("content") is not None:
        return
    if role != "assistant" or not (message.get("tool_calls") or message.get("reasoning_content")):
        expected = "a string or an array of parts"
        raise FieldError(f"{path}.content", None, expected + " (or 'tool_calls' beside it)")


def content(path: str, value: Any, request: Request) -> None:
    if type(value) is str:
        return
    if type(value) is not list or not value:
        raise FieldError(path, value, "a string or an array of parts that isn't empty")
    for index, part in enumerate(value):
        _part(f"{path}[{index}]", part, request)


def _part(path: str, part: Any, request: Request) -> None:
    json_object(path, part)
    kind = part.get("type")
    check = _PARTS.get(kind) if type(kind) is str else None
    if check is None:
        raise UnsupportedParameterError(
            f"{path!r} is a part of type {kind!r}, and only text and image_url are served",
            param=f"{path}.type",
            hint="send it as text",
        )
    check(path, part, request)


_PARTS: dict[str, Callable[[str, Any, Request], None]] = {
    "text": lambda path, part, request: text_part(path, part),
    "image_url": image_part,
}
