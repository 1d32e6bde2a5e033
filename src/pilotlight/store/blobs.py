"""Verified files by their content, so that equal ones are kept once.

blobs/
    lock                        held for the moments in which blobs come or go
    <2 hex>/<sha256>            a whole file, read-only
    <2 hex>/<sha256>.json       its record: the hash of each chunk, and whether it is on the disk

A blob without a record that fits it is hashed before anybody believes its name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from pilotlight.durable import sync
from pilotlight.store import boot
from pilotlight.store.chunks import ChunkList
from pilotlight.store.digest import digest_file, is_sha256
from pilotlight.store.lock import brief
from pilotlight.store.snapshot import replace_json, same_time
from pilotlight.store.worker import Tick

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A blob's chunks as hex, and the blob's stamp when its bytes had its name's hash."""

    format: int = FORMAT
    size_bytes: int
    chunk_bytes: int
    sha256: tuple[str, ...]
    modified_ns: int
    boot: str | None
    """As in a snapshot: None once the blob is on the disk."""

    @classmethod
    def of(cls, chunks: ChunkList, modified_ns: int) -> Record:
        return cls(
            size_bytes=chunks.size_bytes,
            chunk_bytes=chunks.chunk_bytes,
            sha256=tuple(sha256.hex() for sha256 in chunks.sha256),
            modified_ns=modified_ns,
            boot=boot.current(),
        )

    @property
    def chunks(self) -> ChunkList:
        hashes = tuple(bytes.fromhex(sha256) for sha256 in self.sha256)
        return ChunkList(size_bytes=self.size_bytes, chunk_bytes=self.chunk_bytes, sha256=hashes)


class Blobs:
    """All methods but `path` and `record` may block; the owner runs them in a thread."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, sha256: str) -> Path:
        return self.directory / sha256[:2] / sha256

    def record_path(self, sha256: str) -> Path:
        return self.directory / sha256[:2] / f"{sha256}.json"

    def locked(self) -> AbstractContextManager[None]:
        """Nobody adds, removes or refers to a blob meanwhile, in any process."""
        return brief(self.directory / "lock")

    def record(self, sha256: str) -> Record | None:
        try:
            record = msgspec.json.decode(self.record_path(sha256).read_bytes(), type=Record)
            return record if record.format == FORMAT and record.chunks else None
        except (OSError, ValueError):
            return None

    def trusted(self, sha256: str) -> Record | None:
        """The record of a blob that needs no hashing to be believed."""
        record = self.record(sha256)
        if record is None or record.boot not in (None, boot.current()):
            return None
        try:
            found = self.path(sha256).stat()
        except OSError:
            return None
        same = found.st_size == record.size_bytes
        return record if same and same_time(record.modified_ns, found.st_mtime_ns) else None

    def vouch(self, sha256: str, tick: Tick) -> bool:
        """Whether the blob is here, hashed where its record doesn't say so. A wrong one goes."""
        if self.trusted(sha256):
            return True
        path = self.path(sha256)
        try:
            before = path.stat()
            actual, chunks = digest_file(path, tick)
            after = path.stat()
        except OSError:
            return False
        if (before.st_ino, before.st_mtime_ns) != (after.st_ino, after.st_mtime_ns):
            return False
        with self.locked():
            if not _is(path, after):
                return self.trusted(sha256) is not None  # somebody brought another meanwhile
            if actual != sha256:
                self.remove(sha256)
                return False
            replace_json(self.record_path(sha256), Record.of(chunks, after.st_mtime_ns))
        return True

    def move_in(self, partial: Path, sha256: str) -> None:
        """Give a verified file its name, unless a good one has it. Needs `locked`.

        Killed after it, the blob has no record that fits and is hashed by who needs it.
        """
        if self.trusted(sha256):
            partial.unlink()
            return
        target = self.path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.chmod(0o444)
        partial.replace(target)

    def note(self, sha256: str, chunks: ChunkList) -> Record:
        """Write down what `move_in` brought. Needs `locked`."""
        if known := self.trusted(sha256):
            return known
        record = Record.of(chunks, self.path(sha256).stat().st_mtime_ns)
        replace_json(self.record_path(sha256), record)
        return record

    def settle(self, sha256: str) -> None:
        """Have the blob on the disk, and then say so in its record."""
        record = self.trusted(sha256)
        if record is None or record.boot is None:
            return
        path = self.path(sha256)
        sync(path)
        sync(path.parent)
        sync(self.directory)
        with self.locked():
            if self.trusted(sha256) == record:
                settled = replace(record, boot=None)
                replace_json(self.record_path(sha256), settled, durable=True)

    def remove(self, sha256: str) -> None:
        """Needs `locked`. The record goes first: without it nobody believes a blob."""
        self.record_path(sha256).unlink(missing_ok=True)
        self.path(sha256).unlink(missing_ok=True)

    def __iter__(self) -> Iterator[str]:
        """The hashes of all blobs, and of records without one."""
        if not self.directory.is_dir():
            return
        names = {path.name.removesuffix(".json") for path in self.directory.glob("[0-9a-f]*/*")}
        yield from sorted(filter(is_sha256, names))


def _is(path: Path, found: os.stat_result) -> bool:
    try:
        now = path.stat()
    except OSError:
        return False
    return (now.st_ino, now.st_mtime_ns) == (found.st_ino, found.st_mtime_ns)
