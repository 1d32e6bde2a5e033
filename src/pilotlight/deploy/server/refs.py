"""Models that are files of this machine's own: what confines a service may hide them from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pilotlight.core import ModelRef


def local_paths(serve: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Model and path, as written, of each ``file:`` and ``python:path.py:Class``."""
    for name, entry in (serve.get("models") or {}).items():
        ref = ModelRef.parse(entry if isinstance(entry, str) else str(entry["ref"]))
        where = ref.locator.rpartition(":")[0] if ref.scheme == "python" else ref.locator
        if ref.scheme == "file" or (ref.scheme == "python" and where.endswith(".py")):
            yield name, where


def hidden(path: str, places: tuple[str, ...]) -> bool:
    """Whether a service that sees no home of a user's and no shared /tmp can't read it."""
    whole = Path(path)
    return not whole.is_absolute() or any(whole.is_relative_to(place) for place in places)
