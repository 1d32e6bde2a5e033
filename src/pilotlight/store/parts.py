"""All files of a model, from the one path that engines are given."""

from __future__ import annotations

import re
from pathlib import Path

_PART = re.compile(r"-\d{5}-of-(\d{5}\.gguf)$")


def parts_of(path: Path) -> tuple[Path, ...]:
    """The file; all that a split one is the first of; or what is in the directory, at any depth.

    Raises OSError.
    """
    if path.is_dir():
        return tuple(sorted(file for file in path.rglob("*") if file.is_file()))
    named = _PART.search(path.name)
    if named is None:
        return (path,)
    stem = path.name[: named.start()]
    others = (
        file
        for file in path.parent.iterdir()
        if file.name.startswith(f"{stem}-") and file.name.endswith(f"-of-{named[1]}")
    )
    return tuple(sorted(others))
