"""Which chunks of a file: as an int whose bit i is chunk i, and as text for the wire."""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator


def bitmap(chunks: Iterable[int]) -> int:
    """Built as bytes: shifting an int by one chunk at a time would copy it each time."""
    listed = list(chunks)
    packed = bytearray(max(listed, default=-1) // 8 + 1)
    for chunk in listed:
        packed[chunk // 8] |= 1 << chunk % 8
    return int.from_bytes(packed, "little")


def chunks_in(bits: int) -> Iterator[int]:
    """In ascending order."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def full(count: int) -> int:
    return (1 << count) - 1


def pack(bits: int, count: int) -> str:
    """Base64 of ⌈count / 8⌉ bytes; chunk i is bit i % 8 of byte i // 8."""
    return binascii.b2a_base64(bits.to_bytes(-(-count // 8), "little"), newline=False).decode()


def unpack(text: str, count: int) -> int:
    """Raises ValueError for what `pack` doesn't write for so many chunks."""
    content = binascii.a2b_base64(text, strict_mode=True)
    bits = int.from_bytes(content, "little")
    if len(content) != -(-count // 8) or bits >> count:
        raise ValueError(f"a bitmap of {len(content)} bytes for {count} chunks")
    return bits
