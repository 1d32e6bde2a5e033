"""Values that only an engine beyond this machine has: addresses, headers, operations."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from pilotlight.core import Operation
from pilotlight.engines.llamacpp.kinds import Kind
from pilotlight.quantities import parse_seconds

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = frozenset({
    "authorization", "content-length", "content-type", "host", "transfer-encoding", "connection",
    "accept-encoding", "x-api-key", "api-key",
})  # fmt: skip
"""Headers that are the client's own, or that carry a key: one in a file is one in a backup."""


def url() -> Kind:
    """Without credentials and without a query: either may hold a secret, and it is shown."""
    return Kind("an address such as https://api.example.com/v1, without credentials", _parse_url)


def _parse_url(raw: Any) -> str:
    parts = urlsplit(raw)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError
    if "@" in parts.netloc or parts.query or parts.fragment or not str(raw).isprintable():
        raise ValueError
    if " " in raw:
        raise ValueError
    # Both raise ValueError: for a port that is no number, and a name that DNS can't hold.
    _ = parts.port, parts.hostname.encode("idna")
    return str(raw).rstrip("/")


def variable() -> Kind:
    return Kind("the name of an environment variable, not the key itself", _parse_variable)


def _parse_variable(raw: Any) -> str:
    if not _VARIABLE.fullmatch(raw):
        raise ValueError
    return str(raw)


def headers() -> Kind:
    return Kind("a mapping of header names to texts; keys go into api_key_env", _parse_headers)


def _parse_headers(raw: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(raw, Mapping):
        raise ValueError
    for name, value in raw.items():
        if not _HEADER.fullmatch(name) or name.lower() in _OURS:
            raise ValueError
        if not isinstance(value, str) or not value.isprintable():
            raise ValueError
    return tuple(raw.items())


def duration() -> Kind:
    return Kind("a duration such as 30s or 2m, more than none", _parse_duration)


def _parse_duration(raw: Any) -> float:
    seconds = float(parse_seconds(raw))
    if not 0 < seconds < float("inf"):
        raise ValueError
    return seconds


def path() -> Kind:
    return Kind("a path that begins with /", _parse_path)


def _parse_path(raw: Any) -> str:
    if not raw.startswith("/") or not raw.isprintable() or " " in raw:
        raise ValueError
    return str(raw)


def words() -> Kind:
    return Kind("a list of names", lambda raw: frozenset(_words(raw)))


def operations(known: Collection[Operation]) -> Kind:
    names = ", ".join(sorted(known))

    def parse(raw: Any) -> frozenset[Operation]:
        chosen = frozenset(Operation(word) for word in _words(raw))
        if not chosen or not chosen <= set(known):
            raise ValueError
        return chosen

    return Kind(f"a list of {names}", parse)


def _words(raw: Any) -> list[str]:
    items = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError
    return [item.strip() for item in items]
