"""Counts by a model's own tokenizer.json, where the `tokenizers` package is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pilotlight.errors import BenchError


@dataclass(frozen=True, slots=True)
class FileTokenizer:
    path: Path
    library: Any

    @property
    def source(self) -> str:
        return self.path.name

    async def count(self, texts: Sequence[str]) -> list[int]:
        found = self.library.encode_batch(list(texts), add_special_tokens=False)
        return [len(one.ids) for one in found]


def file_tokenizer(path: Path) -> FileTokenizer:
    """Raises BenchError: no such file, no tokenizer in it, or the package isn't there."""
    try:
        tokenizers = import_module("tokenizers")
    except ImportError:
        raise BenchError(
            f"to count with {str(path)!r} takes the package 'tokenizers'",
            hint="pip install tokenizers, or leave it out: the server counts",
        ) from None
    try:
        library = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise BenchError(
            f"{str(path)!r} is no tokenizer: {error}", hint="give a model's tokenizer.json"
        ) from None
    # Files may ask for prompts to be cut or filled up: that would be another count.
    library.no_truncation()
    library.no_padding()
    return FileTokenizer(path, library)
