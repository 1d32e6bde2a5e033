"""A file as fixed chunks, each with its hash: what is checked, kept and handed on at a time."""

from __future__ import annotations

from dataclasses import dataclass

CHUNK_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkList:
    """The SHA-256 of every chunk of one file; the last chunk is as short as it has to be."""

    size_bytes: int
    chunk_bytes: int = CHUNK_BYTES
    sha256: tuple[bytes, ...]

    def span(self, index: int) -> tuple[int, int]:
        """Where chunk `index` begins and ends in the file."""
        return span(index, self.size_bytes, self.chunk_bytes)


def chunk_count(size_bytes: int, chunk_bytes: int = CHUNK_BYTES) -> int:
    return -(-size_bytes // chunk_bytes)


def span(index: int, size_bytes: int | None, chunk_bytes: int = CHUNK_BYTES) -> tuple[int, int]:
    """Begin and end of a chunk; of a file whose size nobody said, every chunk is a full one."""
    start = index * chunk_bytes
    end = start + chunk_bytes
    return start, end if size_bytes is None else min(end, size_bytes)
