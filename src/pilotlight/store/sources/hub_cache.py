"""The Hugging Face hub's own cache on this node: what it holds isn't fetched twice.

Layout: ``models--<org>--<repo>/refs/<revision>`` holds a commit, and
``models--<org>--<repo>/snapshots/<commit>/<path>`` the file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pilotlight.errors import ModelFormatError, SourceError, StoreError
from pilotlight.store.checkpoint import CONFIG, weight_files
from pilotlight.store.peft import is_adapter
from pilotlight.store.sources.contents import ggufs, parts_of
from pilotlight.store.sources.hub_ref import HubRef

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json")


def home(environ: Mapping[str, str]) -> Path:
    """HF_HOME, else the standard place under the user's cache."""
    if given := environ.get("HF_HOME"):
        return Path(given).expanduser()
    root = environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(root) / "huggingface"


def cache_directory(environ: Mapping[str, str]) -> Path:
    given = environ.get("HF_HUB_CACHE")
    return Path(given).expanduser() if given else home(environ) / "hub"


def cached_token(environ: Mapping[str, str]) -> str | None:
    """What the hub's own client saved at its login."""
    given = environ.get("HF_TOKEN_PATH")
    try:
        return (Path(given).expanduser() if given else home(environ) / "token").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def cached(directory: Path, ref: HubRef) -> Path | None:
    """The model if the cache at `directory` holds all of it: a file, or a snapshot's directory.

    A cache holds what somebody asked for, perhaps a part: nothing is taken for whole
    that doesn't list or count its own files.
    """
    snapshot = _snapshot(directory, ref) / ref.directory
    if ref.path is not None and not ref.directory:
        parts = [snapshot / part for part in parts_of(ref.path)]
        return parts[0] if all(part.is_file() for part in parts) else None
    if ref.quantization is not None:
        return _quantization(snapshot, ref.quantization)
    return snapshot if _is_whole(snapshot) else None


def _snapshot(directory: Path, ref: HubRef) -> Path:
    model = directory / f"models--{ref.repository.replace('/', '--')}"
    try:
        commit = (model / "refs" / ref.revision).read_text().strip()
    except (OSError, UnicodeDecodeError):
        commit = ref.revision
    return model / "snapshots" / commit


def _quantization(snapshot: Path, wanted: str) -> Path | None:
    """Only by its very name: whether another one fits too can't be seen in a part."""
    names = [path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*.gguf")]
    found = [model for model in ggufs(names) if model.quantization.lower() == wanted.lower()]
    try:
        entry = found[0].choice(snapshot.name).entry if len(found) == 1 else None
    except SourceError:
        return None
    return snapshot / entry if entry else None


def _is_whole(snapshot: Path) -> bool:
    if not (snapshot / CONFIG).is_file():
        return is_adapter(snapshot)
    try:
        weights = weight_files(snapshot)
    except (ModelFormatError, StoreError):
        return False
    counted = {part for file in weights for part in _shards(file)}
    tokenizer = any((snapshot / name).is_file() for name in _TOKENIZERS)
    return bool(counted) and tokenizer and all(file.is_file() for file in counted)


def _shards(file: Path) -> list[Path]:
    """All that a shard's own name counts: model-00001-of-00003.safetensors says three."""
    parts = parts_of(f"{file.stem}.gguf")
    return [file.with_name(f"{part.removesuffix('.gguf')}{file.suffix}") for part in parts]
