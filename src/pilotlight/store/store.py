"""Model ref → verified bytes on this node."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pilotlight.config import StoreSettings
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.errors import DigestError, ModelFormatError, SourceError, StoreError
from pilotlight.store.address import redacted, shown
from pilotlight.store.archive import extract, find_member
from pilotlight.store.checkpoint import size_bytes
from pilotlight.store.digest import hash_file, parse_digest
from pilotlight.store.fetch import fetch
from pilotlight.store.lock import exclusive
from pilotlight.store.manifest import Manifest
from pilotlight.store.progress import Report, Reporter
from pilotlight.store.retry import Retry
from pilotlight.store.shelf import Shelf
from pilotlight.store.sources.base import ArchiveMember, Description
from pilotlight.store.sources.registry import Sources
from pilotlight.store.worker import in_thread

_SPLIT = re.compile(r"-\d{5}-of-(\d{5})\.gguf$")


@dataclass(frozen=True, slots=True)
class Stored:
    """One entry of the store; `manifest.ref` says what it is."""

    manifest: Manifest
    path: Path


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A verified file that doesn't have its name yet."""

    partial: Path
    file_name: str
    sha256: str


class Store:
    """All models on this node, one directory a ref. Many processes may share `directory`."""

    def __init__(
        self, directory: Path, settings: StoreSettings, *, retry: Retry | None = None
    ) -> None:
        self._directory = directory.absolute()
        self._retry = retry or Retry()
        self._sources = Sources(settings, self._retry)

    def present(self, ref: ModelRef) -> ModelFiles | None:
        """The model if its bytes are on this node. Reads a manifest and a file's size and time."""
        source = self._sources.find(ref)
        if source is None:
            return None
        shelf = self._shelf(ref)
        manifest = shelf.manifest()
        local = source.local(ref)
        # A relative file: ref is another file from another working directory.
        if manifest is not None and (manifest.owned or manifest.path == str(local)):
            path = manifest.file(shelf.directory)
            return ModelFiles(ref, path, manifest.size_bytes, manifest.digest)
        return ModelFiles(ref, local, _size_bytes(local)) if local is not None else None

    def list(self) -> tuple[Stored, ...]:
        """Every model the store holds or has hashed in place, by ref."""
        found = sorted(self._stored(), key=lambda stored: stored.manifest.ref)
        return tuple(found)

    async def resolve(
        self, ref: ModelRef, *, digest: str | None = None, report: Report | None = None
    ) -> ModelFiles:
        """The model's verified bytes, fetched when they aren't here.

        One process fetches a model at a time; others wait for it and take what it got.
        Cancelled, what has arrived stays and the next call continues it. `report` is
        called on the event loop.

        Raises:
            SourceError, DiskFullError, ModelRefError: it can't be fetched; see each.
            DigestError: it isn't `digest` (``sha256:<hex>``), or not what its source promised.
        """
        pin = parse_digest(digest)
        reporter = Reporter(ref, report)
        files = self.present(ref) or await self._obtain(ref, pin, reporter)
        return await self._pinned(files, pin, reporter)

    async def _obtain(self, ref: ModelRef, pin: str | None, reporter: Reporter) -> ModelFiles:
        source = self._sources.get(ref)
        reporter.say("resolve", 0, None)
        description = _with_pin(await source.describe(ref), pin)
        _refuse_split(description)
        shelf = self._shelf(ref)
        self._make(shelf.directory)
        partial = shelf.partial(description.file_name)
        async with exclusive(shelf.lock, lambda: _watch(partial, description, reporter)):
            if files := self.present(ref):
                return files
            await in_thread(lambda tick: shelf.sweep(kept=partial))
            arrived = await self._fetch(shelf, description, pin, reporter)
            await in_thread(lambda tick: _publish(shelf, ref, description, arrived))
            await in_thread(lambda tick: shelf.sweep())
        files = self.present(ref)
        if files is None:
            raise StoreError(f"{shown(ref)!r} was changed or removed right after it was stored")
        return files

    async def _fetch(
        self, shelf: Shelf, description: Description, pin: str | None, reporter: Reporter
    ) -> _Arrived:
        """Fetch and, from an archive, unpack; leaves nothing behind that failed a check."""
        partial = shelf.partial(description.file_name)
        sha256 = await fetch(description, partial, retry=self._retry, reporter=reporter)
        try:
            arrived = await self._unpack(shelf, description, sha256, reporter)
            _check(arrived, pin)
        except (DigestError, ModelFormatError, SourceError):
            await in_thread(lambda tick: shelf.sweep())
            raise
        return arrived

    async def _unpack(
        self, shelf: Shelf, description: Description, sha256: str, reporter: Reporter
    ) -> _Arrived:
        partial = shelf.partial(description.file_name)
        if description.member is None:
            return _Arrived(partial, description.file_name, sha256)
        wanted: ArchiveMember = description.member
        member = await in_thread(lambda tick: find_member(partial, wanted))
        target = shelf.partial(member.file_name)
        sha256 = await in_thread(
            lambda tick: extract(partial, member, target, tick),
            reporter.counter("extract", member.size_bytes),
        )
        return _Arrived(target, member.file_name, sha256)

    async def _pinned(self, files: ModelFiles, pin: str | None, reporter: Reporter) -> ModelFiles:
        if pin is None:
            return files
        if files.digest is None:
            files = await self._hash_in_place(files, reporter)
        if files.digest != f"sha256:{pin}":
            raise DigestError(
                f"{str(files.path)!r} has {files.digest}, expected sha256:{pin}",
                hint="correct the model's digest, or remove the file to fetch it again",
            )
        return files

    async def _hash_in_place(self, files: ModelFiles, reporter: Reporter) -> ModelFiles:
        """Hash a file of the user's own once, and remember that for as long as it is unchanged."""
        if files.path.is_dir():
            raise DigestError(
                f"{str(files.path)!r} is a directory, and a digest pins one file",
                hint="drop the model's digest",
            )
        before = files.path.stat()
        counter = reporter.counter("verify", before.st_size)
        digest = await in_thread(lambda tick: hash_file(files.path, tick), counter)
        manifest = Manifest(
            ref=shown(files.ref),
            path=str(files.path),
            size_bytes=before.st_size,
            modified_ns=before.st_mtime_ns,
            digest=f"sha256:{digest.hexdigest()}",
            source=None,
            revision=None,
            fetched_at=_now(),
        )
        shelf = self._shelf(files.ref)
        self._make(shelf.directory)
        shelf.note(manifest)
        return ModelFiles(files.ref, files.path, before.st_size, manifest.digest)

    def _shelf(self, ref: ModelRef) -> Shelf:
        return Shelf.of(self._directory, ref)

    def _stored(self) -> Iterator[Stored]:
        if not self._directory.is_dir():
            return
        for directory in self._directory.iterdir():
            manifest = Shelf(directory).manifest()
            if manifest is not None:
                yield Stored(manifest, manifest.file(directory))

    def _make(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"can't make the store's directory {str(directory)!r}: {error.strerror}",
                hint="set data_dir to a directory you may write to",
            ) from error


def _size_bytes(local: Path) -> int:
    return size_bytes(local) if local.is_dir() else local.stat().st_size


def _watch(partial: Path, description: Description, reporter: Reporter) -> None:
    """Progress of a fetch that another process runs: its partial file grows."""
    try:
        size_bytes = partial.stat().st_size
    except OSError:
        return
    reporter.say("download", size_bytes, description.size_bytes)


def _publish(shelf: Shelf, ref: ModelRef, description: Description, arrived: _Arrived) -> None:
    found = arrived.partial.stat()
    manifest = Manifest(
        ref=shown(ref),
        path=arrived.file_name,
        size_bytes=found.st_size,
        modified_ns=found.st_mtime_ns,
        digest=f"sha256:{arrived.sha256}",
        source=redacted(description.url),
        revision=description.revision,
        fetched_at=_now(),
    )
    shelf.publish(arrived.partial, manifest)


def _check(arrived: _Arrived, pin: str | None) -> None:
    if pin is not None and arrived.sha256 != pin:
        raise DigestError(
            f"{arrived.file_name!r} has sha256:{arrived.sha256}, expected sha256:{pin}",
            hint="correct the model's digest, or don't use this file",
        )
    if arrived.file_name.lower().endswith(".gguf"):
        with arrived.partial.open("rb") as file:
            start = file.read(4)
        if start != b"GGUF":  # a login page or a pointer file, for example
            raise ModelFormatError(
                f"{arrived.file_name!r} is no GGUF file: it starts with {start!r}",
                hint="open the address in a browser to see what it answers",
            )


def _refuse_split(description: Description) -> None:
    match = _SPLIT.search(description.file_name)
    if match:
        raise SourceError(
            f"{description.file_name!r} is one of {int(match[1])} parts of a model",
            hint="take a quantization in one file, or merge the parts with llama-gguf-split "
            "and name the result with file:",
        )


def _with_pin(description: Description, pin: str | None) -> Description:
    """Expect the pinned hash; a file known to have another needs no download to be refused."""
    if pin is None or description.member is not None:
        return description
    if description.sha256 in (None, pin):
        return replace(description, sha256=pin)
    raise DigestError(
        f"{redacted(description.url)!r} has sha256:{description.sha256}, expected sha256:{pin}",
        hint="correct the model's digest, or name a revision that has it",
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


__all__ = ["Store", "Stored"]
