"""What of a partial file has arrived, appended beside it so that a kill loses next to nothing.

    <name>.partial.journal    a head about the origin, then one mark for each block written

A mark says: chunk `index` holds `filled_bytes`, whose SHA-256 is this. It is appended after the
bytes are in the file, so a killed process leaves marks that are true. After a power cut the marks
may have reached the disk before the bytes; therefore whoever continues hashes what they claim.
That is also why nothing here is synced: a mark too many is found out, one too few costs a block.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pilotlight.store.chunks import CHUNK_BYTES

_HEAD = struct.Struct("<4sI")
_MARK = struct.Struct("<QI32s")
_CHECK = struct.Struct("<I")
_MAGIC = b"PLJ1"
_MARK_BYTES = _MARK.size + _CHECK.size


@dataclass(frozen=True, slots=True)
class Origin:
    """Of which bytes a partial file holds a part.

    `identity` is the content's hash, or else stands for its address. Without a hash
    only the server's `validator` tells that the rest still belongs to what is here.
    """

    identity: str
    hashed: bool
    validator: str | None = None
    size_bytes: int | None = None
    chunk_bytes: int = CHUNK_BYTES

    @property
    def resumable(self) -> bool:
        """Whether a mixture of two versions would be noticed."""
        return self.hashed or self.validator is not None


@dataclass(frozen=True, slots=True)
class Mark:
    filled_bytes: int
    sha256: bytes


class Journal:
    """Open for appending. `mark` may be called from several threads at once."""

    def __init__(self, path: Path, origin: Origin, marks: Mapping[int, Mark]) -> None:
        """Begin anew with these marks: atomically, so that a kill leaves the old or the new one."""
        fresh = path.with_name(f"{path.name}.new")
        records = [_record(index, mark) for index, mark in marks.items()]
        fresh.write_bytes(_head(origin) + b"".join(records))
        fresh.replace(path)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def mark(self, index: int, mark: Mark) -> None:
        # One write, and appending: the kernel keeps the records of two threads apart.
        os.write(self._descriptor, _record(index, mark))

    def close(self) -> None:
        os.close(self._descriptor)


def journal_of(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.journal")


def read_journal(path: Path) -> tuple[Origin, dict[int, Mark]] | None:
    """What the journal at `path` claims; a torn or damaged mark ends it."""
    try:
        content = path.read_bytes()
        magic, length = _HEAD.unpack_from(content)
        text = _HEAD.size
        (check,) = _CHECK.unpack_from(content, text + length)
        head = content[text : text + length]
        if magic != _MAGIC or check != zlib.crc32(head):
            return None
        origin = msgspec.json.decode(head, type=Origin)
    except (OSError, struct.error, msgspec.DecodeError):
        return None
    return origin, _marks(content, text + length + _CHECK.size)


def arrived_bytes(partial: Path) -> int:
    """How much of a file has arrived that another process fetches."""
    found = read_journal(journal_of(partial))
    return sum(mark.filled_bytes for mark in found[1].values()) if found else 0


def _marks(content: bytes, position: int) -> dict[int, Mark]:
    marks: dict[int, Mark] = {}
    while position + _MARK_BYTES <= len(content):
        record = content[position : position + _MARK.size]
        (check,) = _CHECK.unpack_from(content, position + _MARK.size)
        if check != zlib.crc32(record):
            break
        index, filled_bytes, sha256 = _MARK.unpack(record)
        marks[index] = Mark(filled_bytes, sha256)
        position += _MARK_BYTES
    return marks


def _record(index: int, mark: Mark) -> bytes:
    record = _MARK.pack(index, mark.filled_bytes, mark.sha256)
    return record + _CHECK.pack(zlib.crc32(record))


def _head(origin: Origin) -> bytes:
    text = msgspec.json.encode(origin)
    return _HEAD.pack(_MAGIC, len(text)) + text + _CHECK.pack(zlib.crc32(text))
