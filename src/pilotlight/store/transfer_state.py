"""Where one file's transfer stands: its sources, its lanes and its chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pilotlight.store.chunks import chunk_count, span

WINDOW = 32
"""Chunks from the front among which the rarest goes first; beyond it nobody reaches."""


@dataclass(slots=True)
class Source:
    """`chunks` is None for a source that has everything."""

    chunks: frozenset[int] | None
    lanes: int
    answered: bool = False
    gone: bool = False
    failures: int = 0
    """In a row, without a byte from any of its lanes."""

    rest_until_s: float = 0.0
    heard_s: float = float("-inf")

    def has(self, chunk: int) -> bool:
        return not self.gone and (self.chunks is None or chunk in self.chunks)


@dataclass(slots=True)
class Lane:
    """`chunk` is the one that arrives now, of those from `first` up to `last`."""

    source: int
    chunk: int
    last: int | None
    race: bool
    opened_s: float
    heard_s: float
    answered: bool = False
    received_bytes: int = 0

    def bytes_per_s(self, now: float) -> float:
        return self.received_bytes / max(now - self.opened_s, 0.001)


@dataclass(slots=True)
class Chunks:
    """The table of one file's chunks; `count` is None while nobody has said the size."""

    size_bytes: int | None
    chunk_bytes: int
    kept: set[int] = field(default_factory=set)
    lane: dict[int, int] = field(default_factory=dict)
    racer: dict[int, int] = field(default_factory=dict)
    filled_bytes: dict[int, int] = field(default_factory=dict)
    failures: dict[int, int] = field(default_factory=dict)
    rejections: dict[int, int] = field(default_factory=dict)
    rest_until_s: dict[int, float] = field(default_factory=dict)
    front: int = 0

    @property
    def count(self) -> int | None:
        return None if self.size_bytes is None else chunk_count(self.size_bytes, self.chunk_bytes)

    @property
    def whole(self) -> bool:
        return self.count is not None and len(self.kept) == self.count

    def free(self, chunk: int) -> bool:
        return chunk not in self.kept and chunk not in self.lane

    def untouched(self, chunk: int) -> bool:
        """Free, and nothing of it is here: a run over it repeats no byte."""
        return self.free(chunk) and chunk not in self.filled_bytes

    def window(self) -> Iterator[int]:
        """The first free chunks, in order."""
        end = self.front + 1 if self.count is None else self.count
        found = 0
        for chunk in range(self.front, end):
            if self.free(chunk):
                found += 1
                yield chunk
            if found == WINDOW:
                return

    def left_bytes(self, chunk: int) -> int:
        start, end = span(chunk, self.size_bytes, self.chunk_bytes)
        return end - start - self.filled_bytes.get(chunk, 0)

    def keep(self, chunk: int) -> None:
        self.kept.add(chunk)
        for counts in (self.lane, self.racer, self.filled_bytes, self.failures, self.rejections):
            counts.pop(chunk, None)
        self.rest_until_s.pop(chunk, None)
        while self.front in self.kept:
            self.front += 1
