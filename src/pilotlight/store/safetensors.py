"""What a safetensors file holds, from its header; https://huggingface.co/docs/safetensors."""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any

from pilotlight.errors import ModelFormatError, StoreError

MOST_HEADER_BYTES = 100_000_000
"""The format's own bound."""

DTYPE_BITS: Mapping[str, int] = {
    "F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "C64": 64,
    "F16": 16, "BF16": 16, "I16": 16, "U16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "I8": 8, "U8": 8, "BOOL": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """One tensor, without its numbers; outermost extent first, as PyTorch writes a shape."""

    dtype: str
    shape: tuple[int, ...]


def read_elements(path: Path) -> Mapping[str, int]:
    """Numbers in the file by dtype. Reads its header, never its weights.

    Raises:
        ModelFormatError: it is no safetensors file, or is cut.
        StoreError: it can't be read.
    """
    found: Counter[str] = Counter()
    for tensor in read_tensors(path).values():
        found[tensor.dtype] += math.prod(tensor.shape)
    return found


def read_tensors(path: Path) -> Mapping[str, TensorHeader]:
    """The file's tensors by name. Reads its header, never its weights.

    Raises:
        ModelFormatError: it is no safetensors file, or is cut.
        StoreError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            size_bytes = path.stat().st_size
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else size_bytes
            if length > min(size_bytes - 8, MOST_HEADER_BYTES):
                raise _broken(path, "its header is longer than the file")
            header = _parse(file.read(length), path)
    except OSError as error:
        raise StoreError(f"can't read {str(path)!r}: {error.strerror}") from error
    return _tensors(header, size_bytes - 8 - length, path)


def read_start(start: bytes, file_bytes: int, path: Path) -> Mapping[str, TensorHeader] | int:
    """The tensors of a file of which only `start` is here, or how many bytes that takes.

    Raises:
        ModelFormatError: it is no safetensors file, or is cut.
    """
    if len(start) < min(8, file_bytes):
        return 8
    length = struct.unpack("<Q", start[:8])[0] if len(start) >= 8 else file_bytes
    if length > min(file_bytes - 8, MOST_HEADER_BYTES):
        raise _broken(path, "its header is longer than the file")
    if len(start) < 8 + length:
        return 8 + int(length)
    return _tensors(_parse(start[8 : 8 + length], path), file_bytes - 8 - length, path)


def _parse(text: bytes, path: Path) -> Mapping[str, Any]:
    try:
        header = json.loads(text)
    except ValueError:
        raise _broken(path, "its header is not JSON") from None
    if not isinstance(header, dict):
        raise _broken(path, "its header is no object")
    return {name: tensor for name, tensor in header.items() if name != "__metadata__"}


def _tensors(header: Mapping[str, Any], data_bytes: int, path: Path) -> Mapping[str, TensorHeader]:
    found: dict[str, TensorHeader] = {}
    try:
        for name, tensor in header.items():
            found[name] = TensorHeader(tensor["dtype"], tuple(map(index, tensor["shape"])))
            if tensor["data_offsets"][1] > data_bytes:
                raise _broken(path, "it ends before its weights do")
        unknown = {tensor.dtype for tensor in found.values()} - set(DTYPE_BITS)
    except (KeyError, TypeError, IndexError):
        raise _broken(path, "a tensor in its header is not described") from None
    if unknown:
        raise _broken(path, f"it holds numbers of the unknown kind {min(unknown)!r}")
    return found


def _broken(path: Path, why: str) -> ModelFormatError:
    return ModelFormatError(
        f"{str(path)!r} is no whole safetensors file: {why}", hint="fetch the model again"
    )


def bytes_of(elements: Mapping[str, int]) -> int:
    return sum(count * DTYPE_BITS[dtype] // 8 for dtype, count in elements.items())
