"""A file that is still arriving, in any order, and what is needed to continue it after a crash."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pilotlight.errors import DiskFullError, StoreError
from pilotlight.store.chunks import ChunkList, chunk_count, span
from pilotlight.store.journal import Journal, Mark, Origin, journal_of, read_journal
from pilotlight.store.worker import Tick

_BLOCK_BYTES = 2**20


@dataclass(slots=True)
class Filling:
    """One chunk as far as it has arrived, from its beginning on, hashed on the way."""

    index: int
    filled_bytes: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def take(self, block: bytes | memoryview) -> None:
        self.digest.update(block)
        self.filled_bytes += len(block)

    def reset(self) -> None:
        self.filled_bytes, self.digest = 0, hashlib.sha256()

    def copy(self) -> Filling:
        return Filling(self.index, self.filled_bytes, self.digest.copy())


class Partial:
    """``<name>.partial`` at its full size from the first byte on, filled at any place.

    Most methods block; the owner runs them in threads, under the model's lock. `put`, `mark`
    and `replace` may run for several chunks at once, one call a chunk, and `hash_to` beside them.
    """

    def __init__(self, path: Path, origin: Origin) -> None:
        self.path = path
        self.origin = origin
        self.kept: dict[int, bytes] = {}
        """The hash of every whole chunk."""

        self.begun: dict[int, Filling] = {}
        self.filled_bytes = 0
        self.most_bytes = 0
        """The most it ever held: only what goes beyond is progress, the rest is repetition."""

        self.hashed_bytes = 0
        """How far the hash of the whole file is."""

        self._whole = hashlib.sha256()
        self._descriptor: int | None = None
        self._journal: Journal | None = None

    @property
    def chunks(self) -> ChunkList:
        """Of the whole file; ask once every chunk is kept."""
        assert self.origin.size_bytes is not None
        count = chunk_count(self.origin.size_bytes, self.origin.chunk_bytes)
        return ChunkList(
            size_bytes=self.origin.size_bytes,
            chunk_bytes=self.origin.chunk_bytes,
            sha256=tuple(self.kept[chunk] for chunk in range(count)),
        )

    @property
    def sha256(self) -> str:
        return self._whole.hexdigest()

    def open(self, tick: Tick) -> None:
        """Continue what an earlier process left, if it is of the same origin.

        Every chunk it claims is hashed again, which the hash of the whole file needs anyway:
        what is kept is what the file holds, whatever happened to it meanwhile.
        """
        found = read_journal(journal_of(self.path))
        if found is None or not self._continues(found[0]) or not self.path.exists():
            self.restart(self.origin)
            return
        self.origin, marks = found
        with self._writing():
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            for index, mark in sorted(marks.items()):
                self._check(index, mark, tick)
        self._begin_journal()

    def restart(self, origin: Origin) -> None:
        """Drop the bytes and begin again."""
        self.close()
        self.kept, self.begun, self.filled_bytes = {}, {}, 0
        self._whole, self.hashed_bytes = hashlib.sha256(), 0
        with self._writing():
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o644)
        self.describe(origin)

    def describe(self, origin: Origin) -> None:
        """Note what the server says of the file, and take the room for it on the disk."""
        assert self._descriptor is not None
        self.origin = origin
        if origin.size_bytes:
            with self._writing():
                _allocate(self._descriptor, origin.size_bytes)
        self._begin_journal()

    def forget(self, chunks: Iterable[int]) -> None:
        """Drop what is here of these."""
        for index in chunks:
            begun = self.begun.pop(index, None)
            whole = self.length(index) if self.kept.pop(index, None) else 0
            self.filled_bytes -= begun.filled_bytes if begun else whole
        self._whole, self.hashed_bytes = hashlib.sha256(), 0
        self._begin_journal()

    def put(self, filling: Filling, block: bytes) -> None:
        """Append `block` to a chunk; `mark` it then."""
        self._put(block, filling.index * self.origin.chunk_bytes + filling.filled_bytes)
        filling.take(block)

    def replace(self, filling: Filling, start_bytes: int, blocks: list[bytes]) -> None:
        """Put bytes that were gathered elsewhere into a chunk, from `start_bytes` of it on."""
        self._put(b"".join(blocks), filling.index * self.origin.chunk_bytes + start_bytes)
        self.mark(filling)

    def mark(self, filling: Filling) -> None:
        """Have the journal say how far a chunk is."""
        assert self._journal is not None
        with self._writing():
            mark = Mark(filling.filled_bytes, filling.digest.digest())
            self._journal.mark(filling.index, mark)

    def commit(self, filling: Filling) -> None:
        """What is in the file is now ours to count and continue; doesn't block."""
        index = filling.index
        before = self.begun.pop(index, None)
        self.filled_bytes += filling.filled_bytes - (before.filled_bytes if before else 0)
        self.most_bytes = max(self.most_bytes, self.filled_bytes)
        if filling.filled_bytes == self.length(index):
            self.kept[index] = filling.digest.digest()
        elif filling.filled_bytes:
            self.begun[index] = filling

    def length(self, index: int) -> int:
        start, end = span(index, self.origin.size_bytes, self.origin.chunk_bytes)
        return end - start

    def hash_to(self, end: int) -> None:
        """Take the file up to `end`, all of which is kept, into the hash of the whole."""
        self._read(self.hashed_bytes, end - self.hashed_bytes, self._hash_whole)

    def sync(self) -> None:
        assert self._descriptor is not None
        with self._writing():
            os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _continues(self, earlier: Origin) -> bool:
        """Whether `earlier` is what we fetch, and a mixture with other bytes would be noticed."""
        same = replace(earlier, validator=None, size_bytes=None)
        ours = replace(self.origin, validator=None, size_bytes=None)
        return earlier.resumable and same == ours

    def _check(self, index: int, mark: Mark, tick: Tick) -> None:
        """Keep what the journal claims of a chunk, if the file holds it."""
        filling, whole = Filling(index), self._whole.copy()
        start = index * self.origin.chunk_bytes
        follows = start == self.hashed_bytes and mark.filled_bytes == self.length(index)

        def take(block: memoryview) -> None:
            filling.take(block)
            if follows:
                whole.update(block)
            tick(self.filled_bytes + filling.filled_bytes)

        self._read(start, mark.filled_bytes, take)
        if filling.digest.digest() != mark.sha256 or filling.filled_bytes != mark.filled_bytes:
            return
        if follows:
            self._whole, self.hashed_bytes = whole, start + mark.filled_bytes
        self.commit(filling)

    def _hash_whole(self, block: memoryview) -> None:
        self._whole.update(block)
        self.hashed_bytes += len(block)

    def _read(self, start: int, count: int, take: Callable[[memoryview], None]) -> None:
        """Hand on `count` bytes from `start`; fewer where the file is shorter."""
        assert self._descriptor is not None
        buffer = memoryview(bytearray(_BLOCK_BYTES))
        while count > 0:
            found = os.preadv(self._descriptor, [buffer[: min(count, len(buffer))]], start)
            if not found:
                return
            take(buffer[:found])
            start, count = start + found, count - found

    def _put(self, block: bytes, start: int) -> None:
        assert self._descriptor is not None
        rest = memoryview(block)
        with self._writing():
            while rest:
                written = os.pwrite(self._descriptor, rest, start)
                rest, start = rest[written:], start + written

    def _begin_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()
        marks = {index: Mark(self.length(index), sha256) for index, sha256 in self.kept.items()}
        for index, filling in self.begun.items():
            marks[index] = Mark(filling.filled_bytes, filling.digest.digest())
        with self._writing():
            self._journal = Journal(journal_of(self.path), self.origin, marks)

    def _writing(self) -> _Writing:
        return _Writing(self.path)


@dataclass(frozen=True, slots=True)
class _Writing:
    """Names the file, and a full disk, where the system says only what went wrong."""

    path: Path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise write_error(self.path, error) from error


def _allocate(descriptor: int, size_bytes: int) -> None:
    """Take the disk's room at once: one piece of disk, and a full disk is known now."""
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        os.ftruncate(descriptor, size_bytes)  # a file system without it, such as NFS


def discard(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    journal_of(partial).unlink(missing_ok=True)


def write_error(path: Path, error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"the disk became full while writing {str(path)!r}",
            hint="make room and try again; what was fetched is kept and continued",
        )
    return StoreError(f"can't write {str(path)!r}: {error.strerror}")
