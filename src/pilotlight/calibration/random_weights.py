"""Weights that mean nothing: random bytes that every kernel of llama.cpp multiplies as real ones.

Quants may be any bits; scales may not, for a random half is now and then infinite. So scales are
set, such that a weight's root mean square is what keeps a layer's output as large as its input.
Blocks follow ggml-common.h.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pilotlight.errors import ModelFormatError
from pilotlight.store.ggml_types import GGML_TYPES

TILE_BYTES = 1 << 20
"""Weights repeat after about so much: more than caches keep beside the rest, quickly made."""

_BLOCK_BYTES = {kind.name: kind.block_bytes for kind in GGML_TYPES.values()}


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a block's half-precision scale lies, and its part of a weight's root mean square."""

    offset: int
    per_unit: float


def _scaled(rms: float, offset: int) -> tuple[Scale, ...]:
    """`rms` is of what the quants stand for at a scale of 1."""
    return (Scale(offset, 1 / rms),)


def _centred(rms: float, offset: int, minimum_offset: int, minimum: float) -> tuple[Scale, ...]:
    """With a second half that moves them; `minimum`, for a scale of 1, puts zero amid them."""
    return Scale(offset, 1 / rms), Scale(minimum_offset, minimum / rms)


_SCALES: Mapping[str, tuple[Scale, ...]] = {
    "Q4_0": _scaled(4.6, 0),
    "Q4_1": _centred(4.6, 0, 2, -7.5),
    "Q5_0": _scaled(9.2, 0),
    "Q5_1": _centred(9.2, 0, 2, -15.5),
    "Q8_0": _scaled(74, 0),
    "Q2_K": _centred(13, 80, 82, 1.5),
    "Q3_K": _scaled(42, 108),
    "Q4_K": _centred(280, 0, 2, 7.5),
    "Q5_K": _centred(580, 0, 2, 15.5),
    "Q6_K": _scaled(1370, 208),
    "IQ4_NL": _scaled(70, 0),
    "IQ4_XS": _scaled(1300, 0),
    "IQ2_XXS": _scaled(50, 0),
    "IQ2_XS": _scaled(50, 0),
    "IQ2_S": _scaled(50, 0),
    "IQ3_XXS": _scaled(90, 0),
    "IQ3_S": _scaled(200, 0),
}
"""Of a block with uniformly random quants and, where there are any, scales of sub-blocks."""


def tile(type_name: str, fan_in: int) -> bytes:
    """Whole blocks of `type_name`, for a matrix that sums over `fan_in` inputs.

    Raises:
        ModelFormatError: no blocks of that type can be made.
    """
    if type_name not in _BLOCK_BYTES or type_name not in _MAKERS:
        known = ", ".join(sorted(_MAKERS))
        raise ModelFormatError(
            f"can't make random weights of the type {type_name!r}", hint=f"use one of {known}"
        )
    block = _BLOCK_BYTES[type_name]
    raw = bytearray(random.Random(type_name).randbytes(TILE_BYTES // block * block))
    _MAKERS[type_name](raw, type_name, 1 / math.sqrt(fan_in))
    return bytes(raw)


def ones(count: int) -> bytes:
    """What a norm multiplies by, in F32."""
    return struct.pack("<f", 1.0) * count


def repeated(pattern: bytes, size_bytes: int) -> Iterator[memoryview]:
    """`pattern` over and over until `size_bytes` are full."""
    view = memoryview(pattern)
    while size_bytes > 0:
        yield view[:size_bytes]
        size_bytes -= len(view)


def _quantized(raw: bytearray, type_name: str, rms: float) -> None:
    block = _BLOCK_BYTES[type_name]
    for scale in _SCALES[type_name]:
        half = struct.pack("<e", rms * scale.per_unit)
        for place, byte in enumerate(half):
            raw[scale.offset + place :: block] = bytes([byte]) * (len(raw) // block)


def _mxfp4(raw: bytearray, type_name: str, rms: float) -> None:
    """One byte of a block is its exponent; E2M1's values at random have a mean square of 8.6."""
    exponent = 127 + round(math.log2(rms / 2.9))
    raw[0::17] = bytes([exponent]) * (len(raw) // 17)


def _half(raw: bytearray, type_name: str, rms: float) -> None:
    exponent = 15 + _exponent(rms)
    _keep(raw, 1, 2, kept=0x83, fixed=max(exponent, 1) << 2)


def _brain(raw: bytearray, type_name: str, rms: float) -> None:
    _wide(raw, 2, 127 + _exponent(rms))


def _single(raw: bytearray, type_name: str, rms: float) -> None:
    _wide(raw, 4, 127 + _exponent(rms))


def _wide(raw: bytearray, width: int, exponent: int) -> None:
    """Eight bits of exponent lie across the two highest bytes."""
    _keep(raw, width - 1, width, kept=0x80, fixed=exponent >> 1)
    _keep(raw, width - 2, width, kept=0x7F, fixed=(exponent & 1) << 7)


def _exponent(rms: float) -> int:
    """Random mantissas at exponent e have a root mean square of 1.53 · 2^e."""
    return round(math.log2(rms / 1.53))


def _keep(raw: bytearray, start: int, step: int, *, kept: int, fixed: int) -> None:
    table = bytes(byte & kept | fixed for byte in range(256))
    raw[start::step] = raw[start::step].translate(table)


_MAKERS: Mapping[str, Callable[[bytearray, str, float], None]] = {
    **dict.fromkeys(_SCALES, _quantized),
    "MXFP4": _mxfp4,
    "F16": _half,
    "BF16": _brain,
    "F32": _single,
}
