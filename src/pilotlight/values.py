"""What one setting's value may be: its type, bounds and choices, and how it is read."""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NewType

from pilotlight.errors import ConfigError
from pilotlight.quantities import Bytes, Seconds, parse_bytes, parse_seconds

Texts = NewType("Texts", tuple[str, ...])
"""Texts that may have commas, which part those of any other list."""


def _integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    return int(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(value).lower() not in words:
        raise ValueError
    return words[str(value).lower()]


def _string(value: Any) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError
    return str(value)


def _path(value: Any) -> Path:
    return Path(os.path.expanduser(_string(value)))


def _strings(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if not isinstance(value, list | tuple):
        raise ValueError
    return tuple(_string(part) for part in value)


def _texts(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else _strings(value)


SCALARS: Mapping[Any, tuple[str, Callable[[Any], Any]]] = {
    Seconds: ("a duration such as 30s, 5m or forever", parse_seconds),
    Bytes: ("a size such as 512MiB or 8GB", parse_bytes),
    bool: ("true or false", _boolean),
    int: ("a whole number", _integer),
    float: ("a number", float),
    str: ("a text", _string),
    Path: ("a path", _path),
    tuple[str, ...]: ("a list of texts", _strings),
    Texts: ("a text or a list of texts", _texts),
}

# Bounds and choices by setting name; the same name means the same thing everywhere.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "log_level": ("debug", "info", "warning", "error"),
    "log_format": ("human", "json"),
    "prefer": ("auto", "server", "wheel"),
}
_AT_LEAST: Mapping[str, int] = {
    "port": 0, "connections": 1, "bandwidth": 16384, "min": 0, "max": 1, "standby": 0,
    "queue": 0, "max_crashes": 1, "max_body": 1024,
}  # fmt: skip
_AT_MOST: Mapping[str, int] = {"port": 65535}

SECRETS = frozenset({"hf_token", "peer_secret"})
"""Settings whose value is shown to nobody."""


def bare(annotation: Any) -> Any:
    """``X | None`` → ``X``."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return next(part for part in typing.get_args(annotation) if part is not type(None))
    return annotation


def parse_scalar(value: Any, kind: Any, where: str, source: str) -> Any:
    """Raises ConfigError naming `source`, the setting at `where`, its value and what was due."""
    plain = bare(kind)
    if value is None and plain is not kind:
        return None
    expects, parse = SCALARS[plain]
    name = where.rpartition(".")[2]
    shown = "(hidden)" if name in SECRETS else repr(value)
    try:
        parsed = parse(value)
        expects = _unmet(name, parsed)
    except (ValueError, TypeError):
        parsed = None
    if expects:
        raise ConfigError(f"{source}: {where} is {shown}, expected {expects}")
    return parsed


def _unmet(name: str, value: Any) -> str:
    """What the setting `name` needs that `value` isn't; empty when it is fine."""
    if value < _AT_LEAST.get(name, value):
        return f"at least {_AT_LEAST[name]}"
    if value > _AT_MOST.get(name, value):
        return f"at most {_AT_MOST[name]}"
    if name in CHOICES and value not in CHOICES[name]:
        return f"one of {', '.join(CHOICES[name])}"
    return ""
