"""Content digests: how they are written, and computing them over a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from pilotlight.errors import ConfigError
from pilotlight.store.chunks import CHUNK_BYTES, ChunkList
from pilotlight.store.worker import Tick

_BLOCK_BYTES = 4 * 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_sha256(text: str) -> bool:
    return _SHA256.fullmatch(text) is not None


def parse_digest(text: str | None) -> str | None:
    """``sha256:<hex>`` → the hex in lower case.

    Raises:
        ConfigError: for any other form.
    """
    if text is None:
        return None
    algorithm, _, value = text.strip().lower().partition(":")
    if algorithm != "sha256" or not is_sha256(value):
        raise ConfigError(
            f"digest {text!r} is not sha256:<64 hex digits>",
            hint="write what `sha256sum` prints for the model's file, after sha256:",
        )
    return value


def combined(files: Iterable[tuple[str, str]]) -> str:
    """One hash for a model's files, given as (name, hash).

    That of the one file; for several that of what ``sha256sum`` prints for them, sorted.
    """
    listed = list(files)
    if len(listed) == 1:
        return listed[0][1]
    lines = sorted(f"{sha256}  {name}\n" for name, sha256 in listed)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class ChunkDigest:
    """The hash of a file and of each of its chunks, in one pass over its bytes."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._whole = hashlib.sha256()
        self._chunk = hashlib.sha256()
        self._chunks: list[bytes] = []

    def update(self, block: bytes | memoryview) -> None:
        self._whole.update(block)
        rest = memoryview(block)
        while rest:
            room = CHUNK_BYTES - self.size_bytes % CHUNK_BYTES
            part, rest = rest[:room], rest[room:]
            self._chunk.update(part)
            self.size_bytes += len(part)
            if self.size_bytes % CHUNK_BYTES == 0:
                self._end_chunk()

    def result(self) -> tuple[str, ChunkList]:
        """The whole file's hash and its chunks; nothing may be added after it."""
        if self.size_bytes % CHUNK_BYTES:
            self._end_chunk()
        chunks = ChunkList(size_bytes=self.size_bytes, sha256=tuple(self._chunks))
        return self._whole.hexdigest(), chunks

    def _end_chunk(self) -> None:
        self._chunks.append(self._chunk.digest())
        self._chunk = hashlib.sha256()


def digest_file(path: Path, tick: Tick) -> tuple[str, ChunkList]:
    """`ChunkDigest` over the file at `path`; blocks, so run it in a thread. Raises OSError."""
    digest = ChunkDigest()
    block = memoryview(bytearray(_BLOCK_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            digest.update(block[:count])
            tick(digest.size_bytes)
    return digest.result()


def hash_file(path: Path, tick: Tick) -> str:
    """SHA-256 of the file at `path` alone, as hex; blocks, so run it in a thread."""
    digest = hashlib.sha256()
    block = memoryview(bytearray(_BLOCK_BYTES))
    done_bytes = 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            digest.update(block[:count])
            done_bytes += count
            tick(done_bytes)
    return digest.hexdigest()
