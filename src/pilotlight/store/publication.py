"""Making verified files a model: in an order in which nothing ever vouches for what isn't there.

Two halves. `publish` makes the model usable at once; all of it may still be in memory
only. `settle` then has it on the disk, off the critical path. In between the snapshot and the
blobs' records carry the boot they were written in: a process that is killed loses nothing,
for memory outlives it, and after a power cut that boot is over, so nobody believes them and the
blobs are hashed.

Both are generators of the names of their steps, each performed before it is named, so that a
test can stop after any of them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pilotlight.durable import sync
from pilotlight.errors import StoreError
from pilotlight.store import boot
from pilotlight.store.blobs import Blobs
from pilotlight.store.chunks import ChunkList
from pilotlight.store.shelf import Shelf
from pilotlight.store.snapshot import Snapshot, StoredFile, replace_json


@dataclass(frozen=True, slots=True)
class Arrived:
    """A verified file: at `partial`, or a blob already where that is None."""

    name: str
    sha256: str
    partial: Path | None = None
    chunks: ChunkList | None = None


def store(blobs: Blobs, arrived: Arrived) -> Iterator[str]:
    """Make one file a blob. Needs `Blobs.locked`."""
    if arrived.partial is None or arrived.chunks is None:
        return
    blobs.move_in(arrived.partial, arrived.sha256)
    yield f"move in {arrived.name}"
    blobs.note(arrived.sha256, arrived.chunks)
    yield f"note {arrived.name}"


def publish(
    shelf: Shelf, blobs: Blobs, arrived: Sequence[Arrived], snapshot: Snapshot
) -> Iterator[str]:
    """Make them the model of `shelf`; `snapshot` gets its files here. Needs the shelf's lock.

    Raises:
        StoreError: a blob that was counted on is gone.
    """
    with blobs.locked():
        for each in arrived:
            yield from store(blobs, each)
        stored = tuple(_stored(blobs, each) for each in arrived)
        shelf.snapshot_path.unlink(missing_ok=True)
        yield "withdraw"
        _link(shelf, blobs, stored)
        yield "link"
        for marker in (shelf.use, shelf.used):
            marker.touch()
        yield "mark"
        replace_json(shelf.snapshot_path, replace(snapshot, files=stored, boot=boot.current()))
        yield "vouch"


def settle(shelf: Shelf, blobs: Blobs) -> Iterator[str]:
    """Have the model of `shelf` on the disk: bytes, then names, then who vouches for them."""
    snapshot = shelf.intact()
    if snapshot is None or snapshot.boot is None:
        return
    for file in snapshot.files:
        blobs.settle(file.sha256)
        yield f"settle {file.name}"
    for directory in _directories(shelf):
        sync(directory)
    yield "sync names"
    with blobs.locked():
        durable = all(_is_durable(blobs, file) for file in snapshot.files)
        if durable and shelf.snapshot() == snapshot:
            replace_json(shelf.snapshot_path, replace(snapshot, boot=None), durable=True)
    yield "vouch for good"


def _is_durable(blobs: Blobs, file: StoredFile) -> bool:
    record = blobs.trusted(file.sha256)
    return record is not None and record.boot is None


def _stored(blobs: Blobs, arrived: Arrived) -> StoredFile:
    record = blobs.trusted(arrived.sha256)
    if record is None:
        raise StoreError(
            f"{arrived.name!r} was removed from the store while the rest of its model arrived",
            hint="fetch the model again",
        )
    return StoredFile(arrived.name, arrived.sha256, record.size_bytes, record.modified_ns)


def _link(shelf: Shelf, blobs: Blobs, files: Sequence[StoredFile]) -> None:
    """Anew, so that no file of an earlier snapshot is left among them."""
    if shelf.files.is_symlink() or shelf.files.is_file():
        shelf.files.unlink()
    shutil.rmtree(shelf.files, ignore_errors=True)
    for file in files:
        link = shelf.files / file.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blobs.path(file.sha256), link.parent))


def _directories(shelf: Shelf) -> Iterator[Path]:
    """All that hold a name of the model, the innermost first."""
    yield from (Path(path) for path, _, _ in os.walk(shelf.files, topdown=False))
    yield shelf.directory
    yield shelf.directory.parent
    yield shelf.directory.parent.parent
