"""`store gc`: shrink a store to its bounds, and clear what nobody will come back for."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pilotlight.errors import StoreError
from pilotlight.store.housekeeping import Housekeeping, is_held
from pilotlight.store.lock import take
from pilotlight.store.retention import Kept, choose_removals, freed_bytes, total_bytes
from pilotlight.store.shelf import BLOBS, MODELS, Shelf
from pilotlight.store.snapshot import Snapshot

STALE_S = 86400.0
"""What lay about for this long belongs to nobody: a fetch writes something every few seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    max_age_s: float
    max_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a collection removed, or would."""

    models: tuple[Snapshot, ...]
    """The longest unused first."""

    freed_bytes: int
    """By those models; a blob that another one has stays."""

    leftover_bytes: int
    """Of fetches that nobody finished, and of files that no model has."""

    kept_bytes: int
    over_bytes: int
    """By how much the rest exceeds its bound: loaded and pinned models aren't removed."""

    foreign: tuple[Path, ...]
    """What is in the store's directory and not the store's; it is left alone."""


def collect(
    keeping: Housekeeping, bounds: Bounds, now_s: float, *, dry_run: bool = False
) -> Collected:
    """Never removes what is pinned, loaded or being fetched, whatever the bounds. Blocks."""
    found = {shelf.directory.name: (shelf, snapshot) for shelf, snapshot in _published(keeping)}
    models = [_kept(shelf, snapshot) for shelf, snapshot in found.values()]
    chosen = choose_removals(models, now_s, bounds.max_age_s, bounds.max_bytes)
    if not dry_run:
        chosen = tuple(one for one in chosen if _removed(keeping, found[one.key][0]))
    kept_bytes = total_bytes(models, {one.key for one in chosen})
    return Collected(
        models=tuple(found[one.key][1] for one in chosen),
        freed_bytes=freed_bytes(models, chosen),
        leftover_bytes=_clear(keeping, now_s, dry_run=dry_run),
        kept_bytes=kept_bytes,
        over_bytes=0 if bounds.max_bytes is None else max(0, kept_bytes - bounds.max_bytes),
        foreign=tuple(_foreign(keeping.directory)),
    )


def _published(keeping: Housekeeping) -> Iterator[tuple[Shelf, Snapshot]]:
    for shelf in keeping.shelves():
        if snapshot := shelf.snapshot():
            yield shelf, snapshot


def _kept(shelf: Shelf, snapshot: Snapshot) -> Kept:
    return Kept(
        key=shelf.directory.name,
        blobs={file.sha256: file.size_bytes for file in snapshot.files},
        used_s=shelf.used_s(),
        pinned=shelf.pinned.exists(),
        held=is_held(shelf),
    )


def _removed(keeping: Housekeeping, shelf: Shelf) -> bool:
    try:
        keeping.remove(shelf)
    except StoreError:  # loaded, pinned or fetched since it was chosen
        return False
    return True


def _clear(keeping: Housekeeping, now_s: float, *, dry_run: bool) -> int:
    """Remove unfinished fetches and orphans that are old; their bytes on the disk."""
    orphans = _clear_orphans(keeping, now_s, dry_run=dry_run)
    return orphans + sum(_clear_partials(each, now_s, dry_run) for each in keeping.shelves())


def _clear_orphans(keeping: Housekeeping, now_s: float, *, dry_run: bool) -> int:
    freed = 0
    with keeping.blobs.locked():
        referred = keeping.referred()
        for sha256 in keeping.blobs if referred is not None else ():
            paths = (keeping.blobs.path(sha256), keeping.blobs.record_path(sha256))
            if sha256 in (referred or ()) or not all(_is_stale(path, now_s) for path in paths):
                continue
            freed += sum(map(_bytes_on_disk, paths))
            if not dry_run:
                keeping.blobs.remove(sha256)
    return freed


def _clear_partials(shelf: Shelf, now_s: float, dry_run: bool) -> int:
    """A shelf without a model goes as a whole; hashes of files in place stay with them."""
    partials = shelf.partials()
    empty = not shelf.snapshot_path.exists() and not shelf.hashed.exists()
    if not (partials or empty) or not all(_is_stale(path, now_s) for path in partials):
        return 0
    if not partials and not _is_stale(shelf.lock, now_s):
        return 0
    freed = sum(map(_bytes_on_disk, partials))
    lock = None if dry_run else take(shelf.lock, fcntl.LOCK_EX)
    if lock is not None:
        shelf.sweep()
        if empty:
            shutil.rmtree(shelf.directory)
        os.close(lock)
    return freed if dry_run or lock is not None else 0


def _is_stale(path: Path, now_s: float) -> bool:
    """Also by the time of its last rename, for a blob keeps its file's own time."""
    try:
        found = path.stat()
    except OSError:
        return True
    return now_s - max(found.st_mtime, found.st_ctime) > STALE_S


def _bytes_on_disk(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


def _foreign(directory: Path) -> Iterator[Path]:
    if directory.is_dir():
        yield from sorted(p for p in directory.iterdir() if p.name not in (BLOBS, MODELS))
