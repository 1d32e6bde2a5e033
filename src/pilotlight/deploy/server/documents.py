"""Files as documents to compare: line by line, so that a difference reads as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pilotlight.deploy.resources import Files


def wanted_files(files: Files) -> Mapping[str, Mapping[str, Any]]:
    return {f"file/{name}": {"lines": text.splitlines()} for name, text in files.items()}


def live_files(folder: Path, names: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
    """Those of `names` that are in `folder`; none where nothing was deployed."""
    found = {name: folder / name for name in names}
    return wanted_files({name: path.read_text() for name, path in found.items() if path.is_file()})
