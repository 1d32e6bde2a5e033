"""A cursor over a GGUF file's bytes that believes nothing they say.

Layout and limits follow gguf.h and gguf.cpp of llama.cpp: little endian, 64-bit
lengths (versions 2 and 3). Every count is held against the bytes that are there
before anything is looped over or allocated, so a corrupt file costs an error,
never memory or time.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from pilotlight.errors import ModelFormatError
from pilotlight.store.ggml_types import GGML_TYPES

Scalar = str | int | float | bool
Numbers = tuple[int | float | bool, ...]

KEPT_ELEMENTS = 1024
"""Longest numeric array kept: per-layer numbers, not token scores."""

_MAX_KEY_BYTES = 65_535  # the format's own limit
_MAX_STRING_BYTES = 16 * 2**20  # a hundred times the longest chat template seen
_MAX_STRINGS = 2**24  # sixty times the largest vocabulary seen
_MAX_DIMENSIONS = 4  # GGML_MAX_DIMS

_STRING, _ARRAY = 8, 9
_SCALARS: Mapping[int, tuple[str, struct.Struct]] = {
    0: ("uint8", struct.Struct("<B")),
    1: ("int8", struct.Struct("<b")),
    2: ("uint16", struct.Struct("<H")),
    3: ("int16", struct.Struct("<h")),
    4: ("uint32", struct.Struct("<I")),
    5: ("int32", struct.Struct("<i")),
    6: ("float32", struct.Struct("<f")),
    7: ("bool", struct.Struct("<?")),
    10: ("uint64", struct.Struct("<Q")),
    11: ("int64", struct.Struct("<q")),
    12: ("float64", struct.Struct("<d")),
}
_U32, _U64 = _SCALARS[4][1], _SCALARS[10][1]


@dataclass(frozen=True, slots=True)
class ArrayInfo:
    """An array's element type (``string``, ``float32``, …) and length."""

    type: str
    length: int


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor: `shape` innermost first, as ggml counts; `offset` from the data's start."""

    name: str
    shape: tuple[int, ...]
    type_id: int
    type_name: str
    size_bytes: int
    offset: int


class GgufReader:
    """Reads forward through `memory`; `position` is where the next read starts.

    `lacking_to` is where a read should have ended that went past the end, 0 while none did.
    """

    def __init__(self, memory: mmap.mmap | bytes, size_bytes: int, path: Path) -> None:
        self._memory = memory
        self.size_bytes = size_bytes
        self.position = 4
        self.lacking_to = 0
        self._path = path

    def version(self) -> int:
        version = self._number(_U32)
        if version in (2, 3):
            return version
        if version and not version & 0xFFFF:
            raise self._error(
                "is a big-endian GGUF", hint="convert it with gguf_convert_endian.py of llama.cpp"
            )
        raise self._error(
            f"is GGUF version {version}, and only 2 and 3 are read",
            hint="convert the model again with a current llama.cpp",
        )

    def counts(self) -> tuple[int, int]:
        """How many tensors and how many key-value pairs follow."""
        return self._number(_U64), self._number(_U64)

    def pairs(self, count: int) -> tuple[dict[str, Scalar | Numbers], dict[str, ArrayInfo]]:
        """All metadata: what is kept, and what arrays there are."""
        self._require(count, 13, "metadata pairs")  # empty key, type, one byte
        kept: dict[str, Scalar | Numbers] = {}
        arrays: dict[str, ArrayInfo] = {}
        for _ in range(count):
            key = self._key()
            if key in kept or key in arrays:
                raise self._error(f"has the metadata key {key!r} twice")
            kind = self._number(_U32)
            if kind == _ARRAY:
                arrays[key], numbers = self._array(key)
                if numbers is not None:
                    kept[key] = numbers
            else:
                kept[key] = self._scalar(key, kind)
        return kept, arrays

    def alignment(self, metadata: Mapping[str, Scalar | Numbers]) -> int:
        value = metadata.get("general.alignment", 32)
        if not isinstance(value, int) or value <= 0 or value & (value - 1):
            raise self._error(f"has general.alignment {value!r}, which is no power of two")
        return value

    def tensors(self, count: int) -> tuple[TensorInfo, ...]:
        self._require(count, 24, "tensors")  # empty name, no dimensions, type, offset
        found: dict[str, TensorInfo] = {}
        for _ in range(count):
            tensor = self._tensor()
            if tensor.name in found:
                raise self._error(f"has the tensor {tensor.name!r} twice")
            found[tensor.name] = tensor
        return tuple(found.values())

    def check_layout(
        self, tensors: tuple[TensorInfo, ...], alignment: int, data_offset: int
    ) -> None:
        """Tensors follow one another, padded to `alignment`, and the file holds them all."""
        expected = end = 0
        for tensor in tensors:
            if tensor.offset != expected:
                raise self._error(
                    f"puts tensor {tensor.name!r} at {tensor.offset}, expected {expected}"
                )
            end = tensor.offset + tensor.size_bytes
            expected = -(-end // alignment) * alignment
        if tensors and self.size_bytes < data_offset + end:
            raise self._error(
                f"is cut: its tensors need {data_offset + end} bytes, it has {self.size_bytes}",
                hint="fetch or copy it again",
            )

    def _tensor(self) -> TensorInfo:
        name = self._key()
        dimensions = self._number(_U32)
        if dimensions > _MAX_DIMENSIONS:
            raise self._error(f"gives tensor {name!r} {dimensions} dimensions, at most 4 exist")
        shape = tuple(self._number(_U64) for _ in range(dimensions))
        type_id = self._number(_U32)
        offset = self._number(_U64)
        ggml_type = GGML_TYPES.get(type_id)
        if ggml_type is None:
            raise self._error(
                f"stores tensor {name!r} in the unknown type {type_id}",
                hint="take another quantization of the model, or update pilotlight",
            )
        row = shape[0] if shape else 1
        if row % ggml_type.block_weights:
            raise self._error(
                f"gives tensor {name!r} rows of {row}, which {ggml_type.name} can't divide "
                f"into blocks of {ggml_type.block_weights}"
            )
        size_bytes = prod(shape) // ggml_type.block_weights * ggml_type.block_bytes
        return TensorInfo(name, shape, type_id, ggml_type.name, size_bytes, offset)

    def _scalar(self, key: str, kind: int) -> Scalar:
        if kind == _STRING:
            return self._string(_MAX_STRING_BYTES).decode(errors="replace")
        if kind not in _SCALARS:
            raise self._error(f"gives {key!r} the unknown type {kind}")
        code = _SCALARS[kind][1]
        self._require(1, code.size, f"value of {key!r}")
        (value,) = code.unpack_from(self._memory, self.position)
        self.position += code.size
        return value  # type: ignore[no-any-return]

    def _array(self, key: str) -> tuple[ArrayInfo, Numbers | None]:
        kind = self._number(_U32)
        length = self._number(_U64)
        if kind == _STRING:
            self._skip_strings(key, length)
            return ArrayInfo("string", length), None
        if kind not in _SCALARS:
            raise self._error(f"gives the array {key!r} the unknown element type {kind}")
        name, code = _SCALARS[kind]
        self._require(length, code.size, f"elements of {key!r}")
        numbers: Numbers | None = None
        if length <= KEPT_ELEMENTS:
            layout = f"<{length}{code.format[1:]}"
            numbers = struct.unpack_from(layout, self._memory, self.position)
        self.position += length * code.size
        return ArrayInfo(name, length), numbers

    def _skip_strings(self, key: str, length: int) -> None:
        """Hop from length to length: a vocabulary costs no objects but the loop's integers."""
        self._require(length, 8, f"strings of {key!r}")
        if length > _MAX_STRINGS:
            raise self._error(
                f"claims {length} strings in {key!r}, at most {_MAX_STRINGS} are read"
            )
        unpack, memory, position = _U64.unpack_from, self._memory, self.position
        try:
            for _ in range(length):
                position += 8 + unpack(memory, position)[0]
        except (struct.error, OverflowError):
            raise self._cut(f"a string of {key!r}", position) from None
        if position > self.size_bytes:
            raise self._cut(f"the strings of {key!r}", position)
        self.position = position

    def _key(self) -> str:
        raw = self._string(_MAX_KEY_BYTES)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise self._error(f"has the name {raw[:40]!r}, which is not UTF-8") from None

    def _string(self, most_bytes: int) -> bytes:
        length = self._number(_U64)
        if length > most_bytes:
            raise self._error(f"has a string of {length} bytes at byte {self.position}")
        self._require(length, 1, "bytes of a string")
        start = self.position
        self.position += length
        return self._memory[start : self.position]

    def _number(self, code: struct.Struct) -> int:
        self._require(1, code.size, "number")
        (value,) = code.unpack_from(self._memory, self.position)
        self.position += code.size
        return int(value)

    def _require(self, count: int, each_bytes: int, what: str) -> None:
        if count * each_bytes > self.size_bytes - self.position:
            raise self._cut(f"{count} {what}", self.position + count * each_bytes)

    def _cut(self, what: str, end: int) -> ModelFormatError:
        self.lacking_to = end
        return self._error(
            f"is cut: {what} would end at byte {end}, it has {self.size_bytes}",
            hint="fetch or copy it again",
        )

    def _error(self, fault: str, *, hint: str | None = None) -> ModelFormatError:
        return ModelFormatError(f"{str(self._path)!r} {fault}", hint=hint)
