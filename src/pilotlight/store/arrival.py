"""Everything that a listing names, brought here and verified: several files at a time."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass, field
from pathlib import Path

from pilotlight.errors import ModelFormatError, SourceError
from pilotlight.store.archive import Member, extract, find_member
from pilotlight.store.blobs import Blobs
from pilotlight.store.disk import missing_bytes, require_room
from pilotlight.store.fetch import Fetched, Peers, fetch
from pilotlight.store.formats import check_start
from pilotlight.store.limits import Limits
from pilotlight.store.partial import discard
from pilotlight.store.preview import WEIGHTS, Preview
from pilotlight.store.progress import Board, Reporter, Watch
from pilotlight.store.publication import Arrived, store
from pilotlight.store.retry import Retry
from pilotlight.store.shelf import Shelf
from pilotlight.store.sources.base import ArchiveMember, Description, Listing
from pilotlight.store.unpacking import Unpacked, Unpacking
from pilotlight.store.worker import in_thread

FILES_AT_ONCE = 4
"""Small files cost a round trip each; large ones share the line however many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One fetch of a whole model. The caller holds the shelf's lock."""

    shelf: Shelf
    blobs: Blobs
    listing: Listing
    board: Board
    limits: Limits
    retry: Retry
    watch: Watch | None = None
    """Of the one file that an engine is given; of a directory's, `preview` hears."""

    preview: Preview | None = None
    peers: Peers | None = None
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(FILES_AT_ONCE))

    async def complete(self) -> tuple[Arrived, ...]:
        """All files, in the listing's order. Cancelled, what has arrived stays.

        Raises:
            StoreError: of the file that failed first; the others stop where they are.
        """
        here = await in_thread(lambda tick: self._kept())
        self._require_room(here)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    file.file_name: group.create_task(self._one(file, file.sha256 in here))
                    for file in self._telling_first()
                }
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return tuple(tasks[file.file_name].result() for file in self.listing.files)

    def _kept(self) -> frozenset[str]:
        """Hashes of the files that are here already; those nobody has checked are checked."""
        promised = {file.sha256 for file in self.listing.files if file.member is None}
        kept = {sha256 for sha256 in promised if sha256 and self.blobs.path(sha256).exists()}
        return frozenset(sha256 for sha256 in kept if self.blobs.vouch(sha256, _unseen))

    def _require_room(self, here: frozenset[str]) -> None:
        wanted = [file for file in self.listing.files if file.sha256 not in here]
        needed_bytes = sum(self._needed_bytes(file) for file in wanted)
        what = repr(wanted[0].file_name) if len(wanted) == 1 else f"fetching {len(wanted)} files"
        require_room(self.shelf.directory, needed_bytes, what)

    def _needed_bytes(self, file: Description) -> int:
        """Of a size that nobody said before, the fetch asks for the room itself."""
        if file.size_bytes is None:
            return 0
        # Models don't compress, so what comes out of an archive is about as large as it is.
        unpacked_bytes = file.size_bytes if file.member else 0
        return missing_bytes(self.shelf.partial(file.file_name), file.size_bytes) + unpacked_bytes

    def _telling_first(self) -> list[Description]:
        """What tells what the model takes: the entry, or all but weights; then in order."""

        def rank(file: Description) -> tuple[bool, bool]:
            return file.file_name != self.listing.entry, file.file_name.endswith(WEIGHTS)

        return sorted(self.listing.files, key=rank)

    async def _one(self, file: Description, here: bool) -> Arrived:
        if here and file.sha256 is not None:
            self.board.here(file.file_name)
            self._show(file, self.blobs.path(file.sha256), file.size_bytes or 0)
            return Arrived(file.file_name, file.sha256)
        async with self._gate:
            arrived = await self._bring(file, self.board.of(file.file_name))
        self.board.here(file.file_name)
        return arrived

    async def _bring(self, file: Description, reporter: Reporter) -> Arrived:
        """Fetch and, from an archive, unpack; leaves nothing behind that failed a check."""
        partial = self.shelf.partial(file.file_name)
        if file.member is not None:
            return await self._bring_member(file, file.member, partial, reporter)
        fetched = await self._fetch(file, partial, reporter, self._watch_of(file))
        self._show(file, partial, fetched.chunks.size_bytes)
        try:
            check_start(file.file_name, partial)
        except ModelFormatError:
            await in_thread(lambda tick: discard(partial))
            raise
        return await self._keep(file, partial, fetched)

    def _watch_of(self, file: Description) -> Watch | None:
        return self.watch if self.preview is None else functools.partial(self.preview.take, file)

    def _show(self, file: Description, path: Path, verified_bytes: int) -> None:
        if self.preview is not None:
            self.preview.take(file, path, verified_bytes)

    async def _fetch(
        self, file: Description, partial: Path, reporter: Reporter, watch: Watch | None
    ) -> Fetched:
        return await fetch(
            file,
            partial,
            limits=self.limits,
            retry=self.retry,
            reporter=reporter,
            watch=watch,
            # An archive is gone once its member is out, so that nobody could count on it.
            peers=None if file.member else self.peers,
        )

    async def _bring_member(
        self, file: Description, wanted: ArchiveMember, archive: Path, reporter: Reporter
    ) -> Arrived:
        async with Unpacking(archive, wanted, self.shelf.partial, self.watch) as unpacking:
            await self._fetch(file, archive, reporter, unpacking.feed)
            try:
                member = await in_thread(lambda tick: find_member(archive, wanted))
                unpacked = await unpacking.result()
                if unpacked is None or not unpacked.fits(member):
                    unpacked = await self._unpack(archive, member, reporter)
                target = self.shelf.partial(member.file_name)
                check_start(member.file_name, target)
            except (ModelFormatError, SourceError):
                await in_thread(lambda tick: discard(archive))
                raise
        reporter.say("extract", member.size_bytes, member.size_bytes)
        return Arrived(member.file_name, unpacked.sha256, target, unpacked.chunks)

    async def _keep(self, file: Description, partial: Path, fetched: Fetched) -> Arrived:
        """Under its promised hash a file is found again should the rest of the model not come."""
        arrived = Arrived(file.file_name, fetched.sha256, partial, fetched.chunks)
        if file.sha256 is None:
            return arrived

        def keep() -> None:
            with self.blobs.locked():
                for _ in store(self.blobs, arrived):
                    pass
            discard(partial)  # what lay beside it

        await in_thread(lambda tick: keep())
        return Arrived(file.file_name, fetched.sha256)

    async def _unpack(self, archive: Path, member: Member, reporter: Reporter) -> Unpacked:
        target = self.shelf.partial(member.file_name)
        if self.watch is not None:
            self.watch(target, 0)  # what came out before was perhaps another file's
        counter = reporter.counter("extract", member.size_bytes)
        try:
            sha256, chunks = await in_thread(
                lambda tick: extract(archive, member, target, tick), counter
            )
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return Unpacked(member.name, member.offset, member.crc, sha256, chunks)


def _unseen(done_bytes: int) -> None:
    """Nobody waits for the hash of a file that is here, but for a moment after a crash."""
