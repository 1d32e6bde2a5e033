"""The Hugging Face hub's own cache on this node: a file it holds isn't fetched twice.

Layout: ``models--<org>--<repo>/refs/<revision>`` holds a commit, and
``models--<org>--<repo>/snapshots/<commit>/<path>`` the file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def cache_directory(environ: Mapping[str, str]) -> Path:
    """HF_HUB_CACHE, else HF_HOME/hub, else the standard place under the user's cache."""
    if cache := environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    if home := environ.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    root = environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(root) / "huggingface" / "hub"


def cached_file(directory: Path, repository: str, revision: str, path: str) -> Path | None:
    """The cached file, or None; `revision` is a branch, a tag or a commit."""
    model = directory / f"models--{repository.replace('/', '--')}"
    try:
        commit = (model / "refs" / revision).read_text().strip()
    except OSError:
        commit = revision
    candidate = model / "snapshots" / commit / path
    return candidate if candidate.is_file() else None
