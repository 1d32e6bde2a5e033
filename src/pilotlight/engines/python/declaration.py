"""What a class says it can do, in its own source: nothing of the user's runs to learn it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pilotlight.core import Operation
from pilotlight.errors import EngineStartError

METHODS: Mapping[str, Operation] = {
    "generate": Operation.CHAT,
    "embed": Operation.EMBEDDINGS,
    "predict": Operation.PREDICT,
}
"""The operation each method of a class serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """The class attribute `capabilities`, a literal dict of these."""

    parameters: frozenset[str] = frozenset()
    """Fields of a chat request that `generate` honours, besides `messages`."""

    context: int | None = None
    tools: bool = False
    vision: bool = False
    thinking: bool = False
    operations: frozenset[Operation] = frozenset()
    """Beyond those of the methods that the source shows: for methods inherited from elsewhere."""


def _names(raw: Any) -> frozenset[str]:
    if not isinstance(raw, list | tuple | set) or not all(isinstance(name, str) for name in raw):
        raise ValueError
    return frozenset(raw)


def _context(raw: Any) -> int:
    if type(raw) is not int or raw < 1:
        raise ValueError
    return raw


def _switch(raw: Any) -> bool:
    if type(raw) is not bool:
        raise ValueError
    return raw


def _operations(raw: Any) -> frozenset[Operation]:
    operations = frozenset(Operation(name) for name in _names(raw))
    if not operations <= set(METHODS.values()):
        raise ValueError
    return operations


_KINDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "parameters": ("a list of names", _names),
    "context": ("a whole number of at least 1", _context),
    "tools": ("True or False", _switch),
    "vision": ("True or False", _switch),
    "thinking": ("True or False", _switch),
    "operations": (f"a list of {', '.join(METHODS.values())}", _operations),
}
assert set(_KINDS) == {item.name for item in fields(Declaration)}


def declaration(kind: str, given: Any) -> Declaration:
    """`given` of the class `kind`, checked.

    Raises:
        EngineStartError: an unknown key or a wrong value, by name.
    """
    if not isinstance(given, dict):
        raise EngineStartError(f"the capabilities of {kind} are {given!r}, expected a dict")
    return Declaration(**{name: _value(kind, name, raw) for name, raw in given.items()})


def _value(kind: str, name: Any, raw: Any) -> Any:
    if name not in _KINDS:
        close = difflib.get_close_matches(str(name), list(_KINDS), n=1)
        raise EngineStartError(
            f"the capabilities of {kind} have no {name!r}",
            hint=f"did you mean {close[0]!r}?" if close else f"they are {', '.join(_KINDS)}",
        )
    expected, read = _KINDS[name]
    try:
        return read(raw)
    except ValueError:
        raise EngineStartError(
            f"{name!r} in the capabilities of {kind} is {raw!r}, expected {expected}"
        ) from None
