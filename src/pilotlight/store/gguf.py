"""What a GGUF file says of its model: its header, read without touching the weights."""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path

from pilotlight.errors import ModelFormatError, StoreError
from pilotlight.store.gguf_reader import (
    ArrayInfo,
    GgufReader,
    Numbers,
    Scalar,
    TensorInfo,
)

__all__ = [
    "ArrayInfo", "GgufHeader", "PerLayer", "TensorInfo", "join_parts", "read_header", "read_start",
]  # fmt: skip

PerLayer = int | tuple[int, ...]
"""One number for all layers, or one a layer."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """The header of one GGUF file; lengths and counts are tokens, heads or weights."""

    version: int
    metadata: Mapping[str, Scalar | Numbers] = field(repr=False)
    """Every scalar, and every numeric array of at most 1024 elements, by its full key."""

    arrays: Mapping[str, ArrayInfo] = field(repr=False)
    """Every array's element type and length, also of those not kept."""

    tensors: tuple[TensorInfo, ...] = field(repr=False)
    data_offset: int
    """Where the tensors' bytes start; their own offsets count from here."""

    file_bytes: int

    @property
    def architecture(self) -> str:
        return self._text("general.architecture") or "unknown"

    @property
    def name(self) -> str | None:
        return self._text("general.name")

    @property
    def chat_template(self) -> str | None:
        return self._text("tokenizer.chat_template")

    @property
    def file_type(self) -> int | None:
        """llama.cpp's number for the mix of quantizations (``LLAMA_FTYPE_*``)."""
        value = self.metadata.get("general.file_type")
        return value if isinstance(value, int) else None

    @property
    def block_count(self) -> int | None:
        return self.number("block_count")

    @property
    def context_length(self) -> int | None:
        """The context the model was trained for."""
        return self.number("context_length")

    @property
    def embedding_length(self) -> int | None:
        return self.number("embedding_length")

    @property
    def head_count(self) -> PerLayer | None:
        return self.per_layer("attention.head_count")

    @property
    def head_count_kv(self) -> PerLayer | None:
        """Heads whose keys and values are cached; as many as `head_count` when unsaid."""
        stated = self.per_layer("attention.head_count_kv")
        return self.head_count if stated is None else stated

    @property
    def key_length(self) -> int | None:
        """Width of one head's key; llama.cpp's default is embedding_length / head_count."""
        stated = self.number("attention.key_length")
        return self._head_width() if stated is None else stated

    @property
    def value_length(self) -> int | None:
        stated = self.number("attention.value_length")
        return self._head_width() if stated is None else stated

    @property
    def sliding_window(self) -> int | None:
        """Tokens a windowed layer looks back; None where every layer sees the whole context."""
        return self.number("attention.sliding_window") or None

    @property
    def vocabulary_size(self) -> int | None:
        stated = self.number("vocab_size")
        tokens = self.arrays.get("tokenizer.ggml.tokens")
        return tokens.length if stated is None and tokens else stated

    @property
    def weights_bytes(self) -> int:
        return sum(tensor.size_bytes for tensor in self.tensors)

    @property
    def parameter_count(self) -> int:
        return sum(prod(tensor.shape) for tensor in self.tensors)

    def number(self, key: str) -> int | None:
        """The whole number at `key` of this architecture, or None."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def per_layer(self, key: str) -> PerLayer | None:
        """The whole number at `key` of this architecture, or its whole numbers by layer."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        if isinstance(value, tuple) and all(isinstance(item, int) for item in value):
            return tuple(int(item) for item in value)
        return self.number(key)

    def _text(self, key: str) -> str | None:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def _head_width(self) -> int | None:
        heads = self.head_count
        most = max(heads, default=0) if isinstance(heads, tuple) else heads
        return self.embedding_length // most if self.embedding_length and most else None


def read_header(path: Path) -> GgufHeader:
    """Read and check the header at `path`; blocks for milliseconds, even with a large vocabulary.

    Raises:
        ModelFormatError: the file is no GGUF, is of an unknown version, is cut, or contradicts
            itself.
        StoreError: the file can't be opened.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
            if start != b"GGUF":
                raise ModelFormatError(
                    f"{str(path)!r} is no GGUF file: it starts with {start!r}, not b'GGUF'",
                    hint="llama.cpp runs GGUF files; convert the model or take its GGUF release",
                )
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
                return _parse(GgufReader(memory, len(memory), path))
    except OSError as error:
        raise StoreError(f"can't read {str(path)!r}: {error.strerror}") from error


def read_start(start: bytes, file_bytes: int, path: Path) -> GgufHeader | int:
    """The header of a file of which only `start` is here, or how many bytes it takes at least.

    Raises:
        ModelFormatError: as `read_header` does, where more of the file would change nothing.
    """
    if len(start) >= 4 and not start.startswith(b"GGUF"):
        raise ModelFormatError(f"{str(path)!r} is no GGUF file: it starts with {start[:4]!r}")
    reader = GgufReader(start, len(start), path)
    try:
        return _parse(reader, file_bytes)
    except ModelFormatError:
        if not len(start) < reader.lacking_to <= file_bytes:
            raise
        return reader.lacking_to


def join_parts(parts: Sequence[GgufHeader]) -> GgufHeader:
    """One header for a model in several files: the first has the metadata, each its tensors."""
    first = parts[0]
    return replace(
        first,
        tensors=tuple(tensor for part in parts for tensor in part.tensors),
        file_bytes=sum(part.file_bytes for part in parts),
    )


def _parse(reader: GgufReader, file_bytes: int | None = None) -> GgufHeader:
    """Of a start of the file, `file_bytes` is the whole's length."""
    version = reader.version()
    tensor_count, pair_count = reader.counts()
    metadata, arrays = reader.pairs(pair_count)
    alignment = reader.alignment(metadata)
    tensors = reader.tensors(tensor_count)
    reader.size_bytes = file_bytes or reader.size_bytes
    data_offset = -(-reader.position // alignment) * alignment
    reader.check_layout(tensors, alignment, data_offset)
    return GgufHeader(version, metadata, arrays, tensors, data_offset, reader.size_bytes)
