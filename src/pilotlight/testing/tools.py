"""When the fake calls a tool, and with which arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pilotlight.testing.schema import example


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One function to call; `arguments` is JSON text, as OpenAI carries it."""

    name: str
    arguments: str


def choose(body: Mapping[str, Any]) -> ToolCall | None:
    """The named function, the first where one is required, else the one the user speaks of."""
    functions = [item["function"] for item in body.get("tools") or []]
    choice = body.get("tool_choice") or "auto"
    if not functions or choice == "none":
        return None
    wanted = _wanted(functions, choice, body["messages"][-1])
    if wanted is None:
        return None
    arguments = example(wanted.get("parameters") or {})
    return ToolCall(wanted["name"], msgspec.json.encode(arguments).decode())


def _wanted(
    functions: list[dict[str, Any]], choice: Any, last: Mapping[str, Any]
) -> dict[str, Any] | None:
    if choice == "required":
        return functions[0]
    if isinstance(choice, dict):
        name = choice["function"]["name"]
        return next((item for item in functions if item["name"] == name), None)
    said = str(last.get("content")) if last.get("role") == "user" else ""
    return next((item for item in functions if item["name"] in said), None)
