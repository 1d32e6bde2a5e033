"""Values that only a command line has: its words, its variables, the names of metrics."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from pilotlight.engines.llamacpp.kinds import Kind

PLACES = ("model", "name", "port", "directory")
_HOLDER = re.compile(r"\{(\w+)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_METRIC = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")


def words() -> Kind:
    return Kind(
        f"a list of words, or one text of them; in braces only {', '.join(PLACES)}", _parse_words
    )


def _parse_words(raw: Any) -> tuple[str, ...]:
    items = shlex.split(raw) if isinstance(raw, str) else raw
    if not isinstance(items, list | tuple) or not items:
        raise ValueError
    parts = tuple(str(item) for item in items if not isinstance(item, bool | dict | list))
    if len(parts) != len(items) or any("\0" in part for part in parts):
        raise ValueError
    _check_holders(parts, PLACES)
    return parts


def _check_holders(texts: tuple[str, ...], known: tuple[str, ...]) -> None:
    if any(found not in known for text in texts for found in _HOLDER.findall(text)):
        raise ValueError


def environment() -> Kind:
    return Kind("a mapping of variable names to texts", _parse_environment)


def _parse_environment(raw: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(raw, Mapping) or not all(_VARIABLE.fullmatch(name) for name in raw):
        raise ValueError
    if any(isinstance(value, bool | dict | list) or "\0" in str(value) for value in raw.values()):
        raise ValueError
    made = tuple((name, str(value)) for name, value in raw.items())
    _check_holders(tuple(value for _, value in made), (*PLACES, "secret"))
    return made


def names() -> Kind:
    return Kind("a list of metrics' names", _parse_names)


def _parse_names(raw: Any) -> tuple[str, ...]:
    items = [raw] if isinstance(raw, str) else list(raw)
    if not items or not all(isinstance(item, str) and _METRIC.fullmatch(item) for item in items):
        raise ValueError
    return tuple(items)


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with what stands in braces replaced; other braces are left as they are."""
    return _HOLDER.sub(lambda found: values.get(found[1], found[0]), text)
