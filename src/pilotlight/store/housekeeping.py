"""Removing models from a store, and what keeps them from being removed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pilotlight.core import ModelRef
from pilotlight.errors import StoreError, UnknownModelError
from pilotlight.store.address import shown_text
from pilotlight.store.blobs import Blobs
from pilotlight.store.lock import is_free, take
from pilotlight.store.shelf import BLOBS, MODELS, Shelf


class Housekeeping:
    """Of one store. Every method may block; many processes may keep one store at once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.blobs = Blobs(directory / BLOBS)

    def shelves(self) -> Iterator[Shelf]:
        if (self.directory / MODELS).is_dir():
            yield from map(Shelf, sorted((self.directory / MODELS).iterdir()))

    def find(self, text: str) -> Shelf:
        """The shelf of a ref as it is written, or as it is listed. Raises UnknownModelError."""
        shelf = Shelf.of(self.directory, ModelRef.parse(text))
        if shelf.snapshot_path.exists() or shelf.partials():
            return shelf
        listed = [each for each in self.shelves() if name_of(each) == text]
        if len(listed) == 1:
            return listed[0]
        raise UnknownModelError(
            f"{shown_text(text)!r} isn't in the store {str(self.directory)!r}",
            hint="see `pilotlight store list`; what a shared store has is removed where it is kept",
        )

    def pin(self, shelf: Shelf) -> None:
        shelf.pinned.touch()

    def unpin(self, shelf: Shelf) -> None:
        shelf.pinned.unlink(missing_ok=True)

    def remove(self, shelf: Shelf, *, force: bool = False) -> int:
        """Remove a model and the blobs that no other one has; the bytes freed.

        Raises:
            StoreError: it is pinned or loaded, and `force` isn't given; or it is being
                fetched, which has to be stopped where it runs.
        """
        if shelf.pinned.exists() and not force:
            raise StoreError(
                f"{name_of(shelf)!r} is pinned",
                hint="unpin it first with `pilotlight store unpin`, or give --force",
            )
        with self._alone(shelf, force=force), self.blobs.locked():
            return self._remove(shelf)

    @contextmanager
    def _alone(self, shelf: Shelf, *, force: bool) -> Iterator[None]:
        """While nobody else fetches the model or begins to use it."""
        fetching = take(shelf.lock, fcntl.LOCK_EX)
        if fetching is None:
            raise StoreError(
                f"{name_of(shelf)!r} is being fetched", hint="stop that first, or wait for it"
            )
        try:
            using = take(shelf.use, fcntl.LOCK_EX)
            if using is None and not force:
                raise StoreError(
                    f"{name_of(shelf)!r} is loaded by a running server",
                    hint="stop it there with `pilotlight stop`, or give --force: the server keeps "
                    "what it has loaded, and fetches it again for its next start",
                )
            try:
                yield
            finally:
                if using is not None:
                    os.close(using)
        finally:
            os.close(fetching)

    def _remove(self, shelf: Shelf) -> int:
        """What vouches goes first, so that a kill on the way leaves orphans and no lies."""
        snapshot = shelf.snapshot()
        shelf.snapshot_path.unlink(missing_ok=True)
        mine = {file.sha256: file.size_bytes for file in snapshot.files} if snapshot else {}
        others = self.referred()
        orphans = {} if others is None else {s: mine[s] for s in mine.keys() - others}
        for sha256 in orphans:
            self.blobs.remove(sha256)
        shutil.rmtree(shelf.directory)
        return sum(orphans.values())

    def referred(self) -> set[str] | None:
        """The blobs that models have; None when one of them can't be asked.

        A snapshot of a later version may refer to anything, so then no blob is an orphan.
        """
        found: set[str] = set()
        for shelf in self.shelves():
            snapshot = shelf.snapshot()
            if snapshot is not None:
                found |= {file.sha256 for file in snapshot.files}
            elif shelf.snapshot_path.exists():
                return None
        return found


def is_held(shelf: Shelf) -> bool:
    """Whether a running server has the model loaded."""
    return not is_free(shelf.use)


def name_of(shelf: Shelf) -> str:
    """The ref without its secrets, or what is known of it before it was fetched."""
    snapshot = shelf.snapshot()
    return snapshot.ref if snapshot else shelf.directory.name
