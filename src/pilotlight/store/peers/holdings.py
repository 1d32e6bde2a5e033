"""What of a file this node has: a blob, or the verified chunks of one that is still arriving."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pilotlight.store.blobs import Blobs
from pilotlight.store.chunks import chunk_count, span
from pilotlight.store.journal import Origin, journal_of, read_journal
from pilotlight.store.shelf import BLOBS, MODELS
from pilotlight.store.worker import Tick

_BLOCK_BYTES = 2**20
_JOURNAL = journal_of(Path("file")).suffix


@dataclass(frozen=True, slots=True)
class Held:
    """A file, or the part of it that is here; `sha256` has the hash of each chunk that is."""

    path: Path
    size_bytes: int
    chunk_bytes: int
    sha256: Mapping[int, bytes]
    whole: bool

    @contextmanager
    def open(self) -> Iterator[Reading]:
        """Raises OSError: it was removed, or became a blob, since it was found."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield Reading(self, descriptor)
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Reading:
    """An open file: moved or removed meanwhile, it still reads. Its methods block."""

    held: Held
    _descriptor: int

    def vouch(self, start: int, end: int, tick: Tick) -> bool:
        """Whether every byte from `start` up to `end` is verified.

        A blob's record vouches for it. Of an arriving file the journal only claims what is
        in it, and after a power cut in vain: its chunks are hashed.
        """
        held = self.held
        if not 0 <= start < end <= held.size_bytes:
            return False
        if held.whole:
            return True
        chunks = range(start // held.chunk_bytes, chunk_count(end, held.chunk_bytes))
        return all(self._is_right(chunk, tick) for chunk in chunks)

    def read(self, start: int, count: int) -> bytes:
        return os.pread(self._descriptor, count, start)

    def _is_right(self, chunk: int, tick: Tick) -> bool:
        expected = self.held.sha256.get(chunk)
        if expected is None:
            return False
        position, end = span(chunk, self.held.size_bytes, self.held.chunk_bytes)
        digest = hashlib.sha256()
        while position < end:
            block = self.read(position, min(_BLOCK_BYTES, end - position))
            if not block:
                return False
            digest.update(block)
            position += len(block)
            tick(position)
        return digest.digest() == expected


class Holdings:
    """What lies in some stores, whichever process brought it."""

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = tuple(places)

    def find(self, sha256: str) -> Held | None:
        """What is here of the file with this hash. Blocks."""
        for place in self._places:
            if found := _blob(Blobs(place / BLOBS), sha256):
                return found
        parts = (part for place in self._places for part in _parts(place, sha256))
        return max(parts, key=lambda part: len(part.sha256), default=None)


def _blob(blobs: Blobs, sha256: str) -> Held | None:
    record = blobs.trusted(sha256)
    if record is None:
        return None
    hashes = dict(enumerate(record.chunks.sha256))
    return Held(blobs.path(sha256), record.size_bytes, record.chunk_bytes, hashes, whole=True)


def _parts(place: Path, sha256: str) -> Iterator[Held]:
    """Arriving files whose hash was promised: of others nobody knows yet what they are."""
    for journal in place.glob(f"{MODELS}/*/*.partial{_JOURNAL}"):
        found = read_journal(journal)
        if found is None:
            continue
        origin, marks = found
        if not origin.hashed or origin.identity != sha256 or not origin.size_bytes:
            continue
        chunks = {
            chunk: mark.sha256
            for chunk, mark in marks.items()
            if mark.filled_bytes == _chunk_length(chunk, origin)
        }
        partial = journal.with_name(journal.name.removesuffix(_JOURNAL))
        yield Held(partial, origin.size_bytes, origin.chunk_bytes, chunks, whole=False)


def _chunk_length(chunk: int, origin: Origin) -> int:
    start, end = span(chunk, origin.size_bytes, origin.chunk_bytes)
    return end - start
