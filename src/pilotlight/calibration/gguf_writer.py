"""The header of a GGUF file, written: the counterpart of the store's reader.

Layout follows gguf.h of llama.cpp: little endian, version 3, tensors aligned to 32 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from pilotlight.store.ggml_types import GGML_TYPES, GgmlType

ALIGNMENT = 32
VERSION = 3

TYPE_IDS: Mapping[str, int] = {kind.name: number for number, kind in GGML_TYPES.items()}

_U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9

Value = str | bool | int | float | Sequence[str] | Sequence[int]
"""Whole numbers are written as uint32, those of a sequence as int32: as llama.cpp reads them."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """`shape` innermost first, as ggml counts; `type_name` one of ggml's."""

    name: str
    shape: tuple[int, ...]
    type_name: str

    @property
    def type(self) -> GgmlType:
        return GGML_TYPES[TYPE_IDS[self.type_name]]

    @property
    def size_bytes(self) -> int:
        return prod(self.shape) // self.type.block_weights * self.type.block_bytes


def padded(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


def header(metadata: Mapping[str, Value], tensors: Sequence[StoredTensor]) -> bytes:
    """All that comes before the first tensor's bytes; each tensor's are padded to `ALIGNMENT`."""
    parts = [b"GGUF", struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    parts += [_text(key) + _value(value) for key, value in metadata.items()]
    parts += descriptions(tensors)
    head = b"".join(parts)
    return head.ljust(padded(len(head)), b"\0")


def descriptions(tensors: Iterable[StoredTensor]) -> Iterable[bytes]:
    """What a header says of each, in their order."""
    offset = 0
    for tensor in tensors:
        dimensions = len(tensor.shape)
        shape = struct.pack(f"<I{dimensions}Q", dimensions, *tensor.shape)
        place = struct.pack("<IQ", TYPE_IDS[tensor.type_name], offset)
        yield _text(tensor.name) + shape + place
        offset += padded(tensor.size_bytes)


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + _text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", _BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", _U32, value)
    if isinstance(value, float):
        return struct.pack("<If", _F32, value)
    return struct.pack("<I", _ARRAY) + _array(value)


def _array(values: Sequence[str] | Sequence[int]) -> bytes:
    if values and isinstance(values[0], str):
        texts = b"".join(_text(str(value)) for value in values)
        return struct.pack("<IQ", _STRING, len(values)) + texts
    return struct.pack(f"<IQ{len(values)}i", _I32, len(values), *values)
