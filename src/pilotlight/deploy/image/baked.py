"""Weights in an image: copied out of this machine's store into one that is only read.

Every file is hashed on its way and held against what the store vouches for. The times in the
snapshot are those that the layer's files will have, so that an instance believes them by a look
and hashes nothing at its start.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pilotlight.config import ModelPolicy, StoreSettings, parse_model
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.deploy.image.spec import BakedModel
from pilotlight.errors import ConfigError, DigestError
from pilotlight.store import in_place
from pilotlight.store.blobs import Blobs
from pilotlight.store.progress import Report
from pilotlight.store.retry import Retry
from pilotlight.store.shelf import BLOBS, Shelf
from pilotlight.store.snapshot import Snapshot, StoredFile, replace_json
from pilotlight.store.sources.registry import Sources
from pilotlight.store.store import Store

_BUFFER_BYTES = 2**22


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model or an adapter to bake in; `digest` is its pin."""

    name: str
    ref: ModelRef
    digest: str | None


def wanted(serve: Mapping[str, Any], settings: StoreSettings) -> tuple[Wanted, ...]:
    """Every ref of the configuration that has bytes of its own. Raises ConfigError."""
    sources = Sources(settings, Retry())
    found: dict[ModelRef, Wanted] = {}
    for one in _refs(serve):
        if sources.find(one.ref) is not None:
            found[one.ref] = _pinned(found.get(one.ref, one), one)
    return tuple(found.values())


def _pinned(before: Wanted, other: Wanted) -> Wanted:
    """Of two with the same ref the one with a pin. Raises ConfigError: they pin other bytes."""
    if before.digest and other.digest and before.digest != other.digest:
        raise ConfigError(
            f"{before.name} and {other.name} have the same ref, and digests that differ",
            hint="an image holds one of them: correct a digest",
        )
    return before if before.digest or not other.digest else other


def _refs(serve: Mapping[str, Any]) -> Iterator[Wanted]:
    for name, entry in (serve.get("models") or {}).items():
        model = parse_model(str(name), entry, ModelPolicy(), "the configuration")
        yield Wanted(str(name), ModelRef.parse(model.ref), model.digest)
        for adapter, given in model.adapters.items():
            yield Wanted(f"{name}:{adapter}", ModelRef.parse(given.ref), given.digest)


async def resolve(
    store: Store, models: Iterable[Wanted], report: Report | None
) -> list[tuple[Wanted, ModelFiles]]:
    """Their verified bytes on this machine, fetched where they aren't here."""
    return [(one, await store.resolve(one.ref, digest=one.digest, report=report)) for one in models]


def stage(
    into: Path, store: Store, resolved: Iterable[tuple[Wanted, ModelFiles]], epoch_s: int
) -> tuple[BakedModel, ...]:
    """Make `into` a store of them. Blocks for as long as copying takes.

    Raises:
        DigestError: a file isn't what the store says.
    """
    return tuple(_bake(into, store, one, files, epoch_s) for one, files in resolved)


def _bake(into: Path, store: Store, one: Wanted, files: ModelFiles, epoch_s: int) -> BakedModel:
    snapshot, root = _vouched(store, one, files)
    blobs = Blobs(into / BLOBS)
    stored = tuple(_copy(root, file, blobs, epoch_s) for file in _named(snapshot, files, root))
    shelf = Shelf.of(into, one.ref)
    _link(shelf, blobs, stored)
    baked = replace(snapshot, files=stored, boot=None)
    replace_json(shelf.snapshot_path, baked)
    return BakedModel(
        name=one.name, ref=snapshot.ref, digest=baked.digest, size_bytes=baked.size_bytes
    )


def _vouched(store: Store, one: Wanted, files: ModelFiles) -> tuple[Snapshot, Path]:
    """What the store says of it, and where its files lie; of a user's own file, what it is."""
    shelves = (stored.shelf for stored in store.list())
    for shelf in shelves:
        if files.path.is_relative_to(shelf.files) and (snapshot := shelf.intact()):
            return snapshot, shelf.files
    entry = None if files.path.is_dir() else files.path.name
    own = Snapshot(
        ref=str(one.ref),
        revision=None,
        source=str(one.ref),
        fetched_at=datetime.fromtimestamp(files.path.stat().st_mtime, UTC).isoformat(),
        files=(),
        entry=entry,
        boot=None,
    )
    return own, files.path if files.path.is_dir() else files.path.parent


def _named(snapshot: Snapshot, files: ModelFiles, root: Path) -> Iterator[StoredFile]:
    if snapshot.files:
        yield from snapshot.files
        return
    for name, path in in_place.files_of(files.path):
        found = path.stat()
        yield StoredFile(name, "", found.st_size, found.st_mtime_ns)


def _copy(root: Path, file: StoredFile, blobs: Blobs, epoch_s: int) -> StoredFile:
    blobs.directory.mkdir(parents=True, exist_ok=True)
    partial = blobs.directory / "arriving"
    actual = _copy_hashing(root / file.name, partial)
    if file.sha256 and actual != file.sha256:
        partial.unlink()
        raise DigestError(
            f"{str(root / file.name)!r} has sha256 {actual}, and the store says {file.sha256}",
            hint="run `pilotlight store verify`, and fetch the model again",
        )
    os.utime(partial, (epoch_s, epoch_s))
    place = blobs.path(actual)
    place.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(place)
    return replace(file, sha256=actual, modified_ns=epoch_s * 10**9)


def _copy_hashing(source: Path, into: Path) -> str:
    whole = hashlib.sha256()
    with source.open("rb") as reader, into.open("wb") as writer:
        while chunk := reader.read(_BUFFER_BYTES):
            whole.update(chunk)
            writer.write(chunk)
    return whole.hexdigest()


def _link(shelf: Shelf, blobs: Blobs, files: Iterable[StoredFile]) -> None:
    for file in files:
        link = shelf.files / file.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blobs.path(file.sha256), link.parent))
    for marker in (shelf.use, shelf.used):
        marker.touch()
