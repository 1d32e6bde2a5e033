"""Bringing one ref's model into the store: locked, restored or fetched, published, settled."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pilotlight.core import ModelRef
from pilotlight.errors import StoreError
from pilotlight.store.address import redacted, shown
from pilotlight.store.arrival import Arrival
from pilotlight.store.blobs import Blobs
from pilotlight.store.fetch import Peers
from pilotlight.store.formats import refuse_parts, refuse_pickles
from pilotlight.store.journal import arrived_bytes
from pilotlight.store.limits import Limits
from pilotlight.store.lock import exclusive
from pilotlight.store.pins import check_arrived, with_pin
from pilotlight.store.preview import Preview
from pilotlight.store.progress import Board, Reporter, Watch
from pilotlight.store.publication import Arrived, publish, settle
from pilotlight.store.retry import Retry
from pilotlight.store.shelf import BLOBS, Shelf
from pilotlight.store.snapshot import Snapshot
from pilotlight.store.sources.base import Description, Listing
from pilotlight.store.sources.registry import Sources
from pilotlight.store.worker import in_thread

_log = logging.getLogger(__name__)

REST_S = 3.0
"""From a model's arrival until it is written to the disk: its first token has the processor."""


class Intake:
    """The half of a store that writes."""

    def __init__(
        self,
        directory: Path,
        sources: Sources,
        limits: Limits,
        retry: Retry,
        peers: Peers | None,
    ) -> None:
        self._directory = directory
        self._blobs = Blobs(directory / BLOBS)
        self._sources = sources
        self._limits = limits
        self._retry = retry
        self._peers = peers
        self._settling: dict[Path, threading.Thread] = {}
        self._hurry = threading.Event()

    async def obtain(
        self, ref: ModelRef, pin: str | None, reporter: Reporter, watch: Watch | None
    ) -> None:
        """Have the model of `ref` on its shelf. See `Store.resolve` for what it raises."""
        shelf = Shelf.of(self._directory, ref)
        # A ref that its source refuses leaves no directory behind.
        listing = None if shelf.snapshot() else await self._describe(ref, pin, reporter)
        self._make(ref, shelf.directory)

        def waiting() -> None:
            _waiting(shelf, self._blobs, listing, reporter)

        async with exclusive(shelf.lock, waiting) as waited:
            if shelf.intact() or await self._restore(shelf, reporter):
                return
            if listing is None or waited:  # signed addresses expire while others are waited for
                listing = await self._describe(ref, pin, reporter)
            await self._fetch(ref, shelf, listing, pin, reporter, watch)

    async def _describe(self, ref: ModelRef, pin: str | None, reporter: Reporter) -> Listing:
        reporter.say("resolve", 0, None)
        listing = await self._sources.get(ref).describe(ref)
        refuse_pickles(ref, listing)
        refuse_parts(listing)
        return with_pin(listing, pin)

    async def _restore(self, shelf: Shelf, reporter: Reporter) -> bool:
        """Publish again what was published here, if its bytes still are what they were.

        So it goes after a power cut that came before all was on the disk, and when somebody
        changed the files' times: hashing them costs less than fetching them.
        """
        snapshot = shelf.snapshot()
        if snapshot is None:
            return False
        for file in snapshot.files:
            check = partial(self._blobs.vouch, file.sha256)
            if not await in_thread(check, reporter.counter("verify", file.size_bytes)):
                return False
        arrived = [Arrived(file.name, file.sha256) for file in snapshot.files]
        await in_thread(lambda tick: self._publish(shelf, arrived, snapshot))
        return True

    async def _fetch(
        self,
        ref: ModelRef,
        shelf: Shelf,
        listing: Listing,
        pin: str | None,
        reporter: Reporter,
        watch: Watch | None,
    ) -> None:
        preview = _preview(shelf, listing, watch)
        arrival = Arrival(
            shelf=shelf,
            blobs=self._blobs,
            listing=listing,
            board=Board(reporter, [(file.file_name, file.size_bytes) for file in listing.files]),
            limits=self._limits,
            retry=self._retry,
            watch=watch,
            preview=preview,
            peers=self._peers,
        )
        try:
            arrived = await arrival.complete()
        finally:
            if preview is not None:
                preview.remove()
        try:
            check_arrived(arrived, pin)
            snapshot = _snapshot(ref, listing, arrived)
            await in_thread(lambda tick: self._publish(shelf, arrived, snapshot))
        finally:
            await in_thread(lambda tick: shelf.sweep())

    def _publish(self, shelf: Shelf, arrived: Sequence[Arrived], snapshot: Snapshot) -> None:
        for _ in publish(shelf, self._blobs, arrived, snapshot):
            pass

    def settle_later(self, shelf: Shelf) -> None:
        """Have a published model on the disk, in a thread that the process waits for at its end."""
        running = self._settling.get(shelf.directory)
        if running is None or not running.is_alive():
            thread = threading.Thread(target=self._settle, args=(shelf,), name="settle")
            self._settling[shelf.directory] = thread
            thread.start()

    def settle(self) -> None:
        """Until all that `settle_later` was asked for is on the disk. Blocks."""
        self._hurry.set()
        for thread in tuple(self._settling.values()):
            thread.join()

    def _settle(self, shelf: Shelf) -> None:
        self._hurry.wait(REST_S)
        try:
            for _ in settle(shelf, self._blobs):
                pass
        except OSError as error:
            # It stays usable; after a power cut its bytes are hashed before anybody believes them.
            _log.warning("can't have %s on the disk: %s", shelf.directory.name, error)

    def _make(self, ref: ModelRef, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "lock").touch()
        except OSError as error:
            raise StoreError(
                f"can't fetch {shown(ref)!r}: the store's directory {str(directory)!r} "
                f"can't be written: {error.strerror}",
                hint="set store.directory or data_dir to a directory you may write to",
            ) from error


def _preview(shelf: Shelf, listing: Listing, watch: Watch | None) -> Preview | None:
    """Of a model that is a directory; one in a file tells by its beginning."""
    if watch is None or listing.entry is not None:
        return None
    return Preview(shelf.preview, listing.files, watch)


def _snapshot(ref: ModelRef, listing: Listing, arrived: Sequence[Arrived]) -> Snapshot:
    """Without its files, which get their stamps when they are published."""
    names = {file.file_name: each.name for file, each in zip(listing.files, arrived, strict=True)}
    return Snapshot(
        ref=shown(ref),
        revision=listing.revision,
        source=redacted(listing.files[0].url),
        fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
        files=(),
        entry=None if listing.entry is None else names[listing.entry],
        boot=None,
    )


def _waiting(shelf: Shelf, blobs: Blobs, listing: Listing | None, reporter: Reporter) -> None:
    """Progress of a fetch that another process runs, as its journals tell it."""
    if listing is None:
        return
    done_bytes = sum(_arrived_bytes(shelf, blobs, file) for file in listing.files)
    sizes = [file.size_bytes for file in listing.files]
    total_bytes = None if None in sizes else sum(size or 0 for size in sizes)
    reporter.say("download", done_bytes, total_bytes)


def _arrived_bytes(shelf: Shelf, blobs: Blobs, file: Description) -> int:
    if file.sha256 is not None and blobs.path(file.sha256).exists():
        return file.size_bytes or 0
    return arrived_bytes(shelf.partial(file.file_name))
