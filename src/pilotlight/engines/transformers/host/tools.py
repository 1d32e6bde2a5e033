"""Tools that must be called: the answer begins inside a call, and a grammar writes the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .constraint import Constraint, Constraints
from .parts import CALL
from .refusal import wrong

OPENING = f"{CALL}\n"


def forced(constraints: Constraints, body: dict[str, Any]) -> Callable[[], Constraint] | None:
    """What holds an answer to a call, where ``tool_choice`` demands one."""
    choice = body.get("tool_choice")
    if choice in (None, "none", "auto"):
        return None
    allowed = _allowed(choice, body.get("tools") or [])
    schema = {"anyOf": [_schema(tool["function"]) for tool in allowed]}
    return lambda: constraints.schema(schema, "tool_choice", ends_itself=True)


def _allowed(choice: Any, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if choice == "required" and known:
        return known
    name = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    found = [tool for tool in known if tool["function"]["name"] == name]
    if not found:
        raise wrong("tool_choice", choice, "'none', 'auto', or one of 'tools' by name")
    return found


def _schema(function: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "name": {"const": function["name"]},
            "arguments": function.get("parameters") or {"type": "object"},
        },
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }
