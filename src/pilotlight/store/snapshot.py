"""What the store vouches for: one model's files, as they were when they were verified."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pilotlight.durable import sync
from pilotlight.store import boot
from pilotlight.store.digest import combined

FORMAT = 2
_SECOND_NS = 10**9


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a model; `name` is relative and may have directories."""

    name: str
    sha256: str
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`ref` and `source` carry no login and no query; the directory's name, not `ref`, ties a
    snapshot to its ref. Once written it changes only in `boot`.
    """

    format: int = FORMAT
    ref: str
    revision: str | None
    source: str
    fetched_at: str
    files: tuple[StoredFile, ...]
    entry: str | None
    """The file that an engine is given; None where that is the directory of them all."""

    boot: str | None
    """The boot in which it was written, while not all of it is on the disk; then None.

    Until then a power cut can leave files of the right size without their bytes.
    """

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def digest(self) -> str:
        return f"sha256:{combined((file.name, file.sha256) for file in self.files)}"

    @property
    def believable(self) -> bool:
        """Whether nothing can have been lost since it was written."""
        return self.boot in (None, boot.current())


def same_time(expected_ns: int, found_ns: int) -> bool:
    """Whether a file has the time it had; archives and images may keep whole seconds only."""
    return found_ns in (expected_ns, expected_ns - expected_ns % _SECOND_NS)


def read_snapshot(path: Path) -> Snapshot | None:
    """The snapshot at `path`; None when there is none that this version reads."""
    try:
        snapshot = msgspec.json.decode(path.read_bytes(), type=Snapshot)
    except (OSError, msgspec.DecodeError):
        return None
    return snapshot if snapshot.format == FORMAT and snapshot.files else None


def replace_json(path: Path, content: object, *, durable: bool = False) -> None:
    """Write `content` atomically: a reader sees the old file or the new one. Raises OSError."""
    fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        with fresh.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
            file.flush()
            if durable:
                os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)
