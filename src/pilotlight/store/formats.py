"""What a model's file must begin with, and which kinds are refused for what they can do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from pilotlight.core import ModelRef
from pilotlight.errors import ModelFormatError, SourceError
from pilotlight.store.address import shown
from pilotlight.store.sources.base import Listing

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
"""Endings of weights that Python's pickle writes, and that run code while they are read."""

_SPLIT = re.compile(r"-\d{5}-of-(\d{5})\.gguf$")
_START_BYTES = 16
_BEGINS: Mapping[str, tuple[str, Callable[[bytes], bool]]] = {
    ".gguf": ("GGUF", lambda start: start.startswith(b"GGUF")),
    ".safetensors": ("safetensors", lambda start: start[8:9] == b"{"),
}


def check_start(name: str, path: Path) -> None:
    """A login page or a pointer file has a model's name too. Raises ModelFormatError."""
    ending = PurePosixPath(name).suffix.lower()
    if ending not in _BEGINS:
        return
    kind, begins = _BEGINS[ending]
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
    if not begins(start):
        raise ModelFormatError(
            f"{name!r} is no {kind} file: it starts with {start!r}",
            hint="open the address in a browser to see what it answers",
        )


def refuse_parts(listing: Listing) -> None:
    """Raises SourceError for a split model of which the listing lacks parts."""
    names = [file.file_name for file in listing.files]
    for name in names:
        split = _SPLIT.search(name)
        parts = int(split[1]) if split else 0
        stem = name[: split.start()] if split else name
        if sum(each.startswith(f"{stem}-") for each in names) < parts:
            raise SourceError(
                f"{name!r} is one of {parts} parts of a model",
                hint="name the model's quantization, as hf:org/repo:Q4_K_M, and all parts come; "
                "or merge them with llama-gguf-split and name the result with file:",
            )


def refuse_pickles(ref: ModelRef, listing: Listing) -> None:
    """Raises SourceError for pickled weights that `ref` doesn't name itself."""
    path = PurePosixPath(ref.locator.partition("#")[0].partition("?")[0])
    for file in listing.files:
        name = PurePosixPath(file.file_name)
        if name.suffix.lower() in PICKLES and name.name != path.name:
            raise SourceError(
                f"{shown(ref)!r} has pickled weights, {file.file_name!r}, which can run code",
                hint="take a model with .safetensors or .gguf weights, or name that very file",
            )
