"""A file that is still arriving, and what is needed to continue it after a crash."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from pilotlight.errors import DiskFullError, StoreError
from pilotlight.store.digest import hash_file
from pilotlight.store.worker import Tick


@dataclass(frozen=True, slots=True)
class Origin:
    """Of which bytes a partial file holds the beginning.

    `identity` is the content's hash, or else stands for its address. Without a hash
    only the server's `validator` tells that the rest still belongs to the beginning.
    """

    identity: str
    hashed: bool
    validator: str | None = None

    @property
    def resumable(self) -> bool:
        """Whether a mixture of two versions would be noticed."""
        return self.hashed or self.validator is not None


class Partial:
    """``<name>.partial`` open for appending, hashed as it grows.

    Every method but `size_bytes` and `origin` blocks; the owner runs them in a thread,
    one at a time, under the model's lock.
    """

    def __init__(self, path: Path, origin: Origin) -> None:
        self.path = path
        self.origin = origin
        self.size_bytes = 0
        self.most_bytes = 0
        """The largest size it ever had: new bytes beyond it are progress, the rest repetition."""

        self._notes = notes_of(path)
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None

    def open(self, tick: Tick) -> None:
        """Continue what an earlier process left, if it is of the same origin."""
        earlier = self._read_notes()
        same = earlier is not None and earlier.identity == self.origin.identity
        if earlier is None or not same or not earlier.resumable or not self.path.exists():
            self.restart(self.origin)
            return
        self.origin = earlier
        try:
            self._digest = hash_file(self.path, tick)
            self._file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise write_error(self.path, error) from error
        self.size_bytes = self.most_bytes = self._file.tell()

    def restart(self, origin: Origin) -> None:
        """Drop the bytes and begin again, with `origin` noted before the first byte is there."""
        self.close()
        try:
            self._file = self.path.open("wb", buffering=0)
            self._notes.write_bytes(msgspec.json.encode(origin))
        except OSError as error:
            raise write_error(self.path, error) from error
        self._digest = hashlib.sha256()
        self.origin, self.size_bytes = origin, 0

    def write(self, block: bytes) -> None:
        assert self._file is not None
        rest = memoryview(block)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise write_error(self.path, error) from error
        self._digest.update(block)
        self.size_bytes += len(block)
        self.most_bytes = max(self.most_bytes, self.size_bytes)

    def finish(self) -> str:
        """The hash of it all, once the bytes are on the disk."""
        assert self._file is not None
        os.fsync(self._file.fileno())
        self.close()
        return self._digest.hexdigest()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read_notes(self) -> Origin | None:
        try:
            return msgspec.json.decode(self._notes.read_bytes(), type=Origin)
        except (OSError, msgspec.DecodeError):
            return None


def notes_of(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.json")


def discard(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    notes_of(partial).unlink(missing_ok=True)


def write_error(path: Path, error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"the disk became full while writing {str(path)!r}",
            hint="make room and try again; what was fetched is kept and continued",
        )
    return StoreError(f"can't write {str(path)!r}: {error.strerror}")
