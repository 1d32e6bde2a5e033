"""Model ref → verified bytes on this node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pilotlight.config import StoreSettings
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.errors import DigestError, StoreError, UnknownModelError
from pilotlight.store import in_place
from pilotlight.store.address import shown, shown_text
from pilotlight.store.blobs import Blobs
from pilotlight.store.digest import parse_digest
from pilotlight.store.fetch import Peers
from pilotlight.store.hold import Hold
from pilotlight.store.housekeeping import Housekeeping
from pilotlight.store.intake import Intake
from pilotlight.store.limits import Bandwidth, Limits
from pilotlight.store.peek import Peek, peek
from pilotlight.store.progress import Report, Reporter, Watch
from pilotlight.store.retry import Retry
from pilotlight.store.shelf import BLOBS, MODELS, Shelf
from pilotlight.store.snapshot import Snapshot, StoredFile
from pilotlight.store.sources.registry import Sources
from pilotlight.store.verification import Verifier
from pilotlight.store.worker import in_thread


@dataclass(frozen=True, slots=True)
class Stored:
    """One model of a store; `snapshot.ref` says which."""

    snapshot: Snapshot
    shelf: Shelf

    @property
    def path(self) -> Path:
        entry = self.snapshot.entry
        return self.shelf.files / entry if entry is not None else self.shelf.files

    def chunk_hashes(self, file: StoredFile) -> tuple[str, ...]:
        """Of each chunk of one of its files; none where the record of them is damaged."""
        record = Blobs(self.shelf.directory.parents[1] / BLOBS).record(file.sha256)
        return record.sha256 if record else ()


class Store:
    """All models on this node, one directory a ref. Many processes may share it."""

    def __init__(
        self,
        directory: Path,
        settings: StoreSettings,
        *,
        retry: Retry | None = None,
        peers: Peers | None = None,
    ) -> None:
        """The store is in `directory` unless `settings` name another place.

        `peers` help with fetches; whoever made them closes them.
        """
        own, *shared = places(directory, settings)
        self.directory = own
        self._shared = shared
        self._retry = retry or Retry()
        self._sources = Sources(settings, self._retry)
        bandwidth = Bandwidth(settings.bandwidth) if settings.bandwidth else None
        limits = Limits(connections=settings.connections, bandwidth=bandwidth)
        self.keeping = Housekeeping(own)
        self._intake = Intake(own, self._sources, limits, self._retry, peers)

    def present(self, ref: ModelRef) -> ModelFiles | None:
        """The model if its bytes are on this node. Reads a snapshot and its files' times."""
        source = self._sources.find(ref)
        if source is None:
            return None
        if found := self._stored(ref):
            return _model(ref, found)
        local = source.local(ref)
        if local is None:
            return None
        digest = in_place.known_digest(Shelf.of(self.directory, ref), local)
        return ModelFiles(ref, local, in_place.size_bytes(local), digest)

    def list(self) -> tuple[Stored, ...]:
        """Every model that the store and those it shares hold, by ref."""
        found = [each for place in (self.directory, *self._shared) for each in stored_in(place)]
        return tuple(sorted(found, key=lambda stored: stored.snapshot.ref))

    def damaged(self) -> tuple[Stored, ...]:
        """Models of this store whose files aren't as they were: nobody gets them as they are."""
        shelves = ((shelf, shelf.snapshot()) for shelf in self.keeping.shelves())
        return tuple(
            Stored(snapshot, shelf)
            for shelf, snapshot in shelves
            if snapshot is not None and shelf.intact() is None
        )

    def find(self, text: str) -> Stored:
        """The model of a ref as it is written or listed. Raises UnknownModelError."""
        if found := self._stored(ModelRef.parse(text)):
            return found
        for stored in self.list():
            if stored.snapshot.ref == text:
                return stored
        raise UnknownModelError(
            f"{shown_text(text)!r} isn't in the store {str(self.directory)!r}",
            hint="see `pilotlight store list`",
        )

    def hold(self, files: ModelFiles) -> Hold:
        """Keep house-keeping from removing a resolved model, for as long as it is loaded.

        Files of the user's own need no hold: nobody here removes them.

        Raises:
            StoreError: it was removed since it was resolved.
        """
        shelf = self._shelf_of(files)
        if shelf is None:
            return Hold()
        held = Hold.on(shelf)
        shelf.touch()
        return held

    async def resolve(
        self,
        ref: ModelRef,
        *,
        digest: str | None = None,
        report: Report | None = None,
        watch: Watch | None = None,
    ) -> ModelFiles:
        """The model's verified bytes, fetched when they aren't here.

        One process fetches a model at a time; others wait for it and take what it got.
        Cancelled, what has arrived stays and the next call continues it. `report` and `watch`
        are called on the event loop, `watch` only in the process that fetches.

        Raises:
            SourceError, DiskFullError, ModelRefError: it can't be fetched; see each.
            DigestError: it isn't `digest` (``sha256:<hex>``), or not what its source promised.
        """
        pin = parse_digest(digest)
        reporter = Reporter(ref, report)
        if self.present(ref) is None:
            await self._intake.obtain(ref, pin, reporter, watch)
        files = self.present(ref)
        if files is None:
            raise StoreError(f"{shown(ref)!r} was changed or removed right after it was stored")
        files = await self._pinned(files, pin, reporter)
        self._note_use(files)
        return files

    async def peek(self, ref: ModelRef) -> Peek:
        """What the model's headers say, with a few MB of it fetched and nothing kept.

        Raises:
            SourceError, ModelRefError, ModelFormatError: see `peek.peek`.
        """
        return await peek(ref, self._sources, self._retry)

    def verifier(self) -> Verifier:
        return Verifier(self.keeping.blobs, self._sources, self._retry)

    def settle(self) -> None:
        """Until all that this object published is on the disk, past any power cut. Blocks."""
        self._intake.settle()

    def _stored(self, ref: ModelRef) -> Stored | None:
        for place in (self.directory, *self._shared):
            shelf = Shelf.of(place, ref)
            if snapshot := shelf.intact():
                return Stored(snapshot, shelf)
        return None

    def _shelf_of(self, files: ModelFiles) -> Shelf | None:
        """The shelf that `files` lie on; None for files of the user's own."""
        shelves = (Shelf.of(place, files.ref) for place in (self.directory, *self._shared))
        return next((one for one in shelves if files.path.is_relative_to(one.files)), None)

    def _note_use(self, files: ModelFiles) -> None:
        shelf = self._shelf_of(files)
        if shelf is None:
            return
        shelf.touch()
        snapshot = shelf.snapshot() if shelf.directory.is_relative_to(self.directory) else None
        if snapshot is not None and snapshot.boot is not None:
            self._intake.settle_later(shelf)

    async def _pinned(self, files: ModelFiles, pin: str | None, reporter: Reporter) -> ModelFiles:
        if pin is None:
            return files
        if files.digest is None:
            files = await self._hash_in_place(files, reporter)
        if files.digest != f"sha256:{pin}":
            raise DigestError(
                f"{str(files.path)!r} has {files.digest}, expected sha256:{pin}",
                hint="correct the model's digest, or remove the model to fetch it again",
            )
        return files

    async def _hash_in_place(self, files: ModelFiles, reporter: Reporter) -> ModelFiles:
        shelf = Shelf.of(self.directory, files.ref)
        counter = reporter.counter("verify", files.size_bytes)
        digest = await in_thread(
            lambda tick: in_place.hash_in_place(shelf, files.path, tick), counter
        )
        return replace(files, digest=digest)


def places(directory: Path, settings: StoreSettings) -> list[Path]:
    """Where models may be: the store's own place first, then those it only reads."""
    own = settings.directory or directory
    shared = map(Path, settings.shared)
    return [path.expanduser().absolute() for path in (own, *shared)]


def stored_in(place: Path) -> Iterator[Stored]:
    """The models of the store at `place` whose files are as they were."""
    if not (place / MODELS).is_dir():
        return
    for directory in sorted((place / MODELS).iterdir()):
        shelf = Shelf(directory)
        if snapshot := shelf.intact():
            yield Stored(snapshot, shelf)


def _model(ref: ModelRef, stored: Stored) -> ModelFiles:
    return ModelFiles(ref, stored.path, stored.snapshot.size_bytes, stored.snapshot.digest)


__all__ = ["Store", "Stored", "places", "stored_in"]
