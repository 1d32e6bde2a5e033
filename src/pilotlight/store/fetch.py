"""Fetch one described file into a partial path: from all sides at once, verified and resumable.

A description and a path go in, the hashes of the bytes come out, and the partial path
holds them. Nothing is on the disk for sure then: that, and the file's name, are the caller's.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pilotlight.errors import DigestError
from pilotlight.store.address import redacted
from pilotlight.store.chunks import ChunkList
from pilotlight.store.client import Client
from pilotlight.store.download import Download, Workers
from pilotlight.store.journal import Origin, arrived_bytes
from pilotlight.store.lane import AnewError
from pilotlight.store.limits import Limits
from pilotlight.store.partial import Partial, discard
from pilotlight.store.progress import Reporter, Watch
from pilotlight.store.retry import Retry
from pilotlight.store.sources.base import Description
from pilotlight.store.trail import Trail
from pilotlight.store.worker import in_thread

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fetched:
    """`sha256` is the whole file's, in hex."""

    sha256: str
    chunks: ChunkList


class Peers(Protocol):
    """Other nodes that may have parts of a file."""

    async def follow(self, download: Download) -> None:
        """Offer peers to `download` and keep it up to date, until cancelled.

        Until its first wait this runs before the first request.
        """
        ...


async def fetch(
    description: Description,
    target: Path,
    *,
    retry: Retry,
    reporter: Reporter,
    limits: Limits | None = None,
    watch: Watch | None = None,
    peers: Peers | None = None,
) -> Fetched:
    """Bring all bytes of `description` to `target`, verified when this returns.

    The caller holds the model's lock. `watch` is called on the event loop with `target` and how
    many bytes from its front on have arrived, been hashed and noted; 0 says that some of them were
    others than they should have been. Cancelled or killed, what has arrived stays and is continued
    by the next call. `peers` help with a file of
    known hash and size; they can't spoil it.

    Raises:
        SourceError: the source refuses, or can't be reached for long.
        DigestError: the bytes are not the ones promised; they are gone then.
        DiskFullError: said before the first byte.
    """
    partial = Partial(target, _origin(description))
    counter = reporter.counter("verify", arrived_bytes(target) or None)
    try:
        await in_thread(partial.open, counter)
        resumed = partial.filled_bytes > 0
        job = _Job(description, partial, retry, reporter, limits or Limits(), watch)
        try:
            return await job.complete(peers)
        except DigestError:
            if not resumed:
                raise
            # What an earlier process left may be of a version that is no longer there: once more.
            job.void()
            await in_thread(lambda tick: partial.restart(_origin(description)))
            return await job.complete(None)
    except DigestError:
        discard(target)
        raise
    finally:
        partial.close()


@dataclass(frozen=True, slots=True)
class _Job:
    description: Description
    partial: Partial
    retry: Retry
    reporter: Reporter
    limits: Limits
    watch: Watch | None

    async def complete(self, peers: Peers | None) -> Fetched:
        """What others sent is fetched again from the origin should the whole be wrong."""
        workers = Workers()
        try:
            from_peers = await self._download(workers, peers)
            if from_peers and self.partial.sha256 != self.description.sha256:
                _log.warning("peers sent wrong bytes of %r", self.description.file_name)
                self.void()
                await workers.run(lambda: self.partial.forget(from_peers))
                await self._download(workers, None)
        finally:
            workers.close()
        sha256, chunks = self.partial.sha256, self.partial.chunks
        self.reporter.say("verify", chunks.size_bytes, chunks.size_bytes)
        if self.description.sha256 not in (None, sha256):
            raise DigestError(
                f"{redacted(self.description.url)!r} has sha256 {sha256}, "
                f"expected {self.description.sha256}",
                hint="the file was changed or damaged on the way; don't use it",
            )
        return Fetched(sha256, chunks)

    def void(self) -> None:
        """Who has read the file's front already must read it again."""
        if self.watch is not None:
            self.watch(self.partial.path, 0)

    async def _download(self, workers: Workers, peers: Peers | None) -> set[int]:
        """Attempts, each from the beginning, until the server keeps to one version.

        Returns the chunks that didn't come from the origin alone.
        """
        plain = False
        from_peers: set[int] = set()
        async with Client(self.description.network) as client:
            trail = Trail(client, self.description)
            if peers is not None:
                await trail.measure()

            async def attempt() -> None:
                nonlocal plain
                try:
                    await self._attempt(trail, workers, plain, peers, from_peers)
                except AnewError as error:
                    plain = plain or error.plain
                    self.void()
                    origin = _origin(self.description)
                    await workers.run(lambda: self.partial.restart(origin))
                    raise

            await self.retry.persist(attempt, lambda: self.partial.most_bytes)
        return from_peers

    async def _attempt(
        self,
        trail: Trail,
        workers: Workers,
        plain: bool,
        peers: Peers | None,
        from_peers: set[int],
    ) -> None:
        with self.limits.file() as most_lanes:
            download = Download(
                trail,
                self.partial,
                workers,
                retry=self.retry,
                limits=self.limits,
                most_lanes=most_lanes,
                reporter=self.reporter,
                watch=self.watch,
                plain=plain,
                seed=random.getrandbits(32),
            )
            try:
                async with _following(peers, download):
                    await download.run()
            finally:
                from_peers |= download.from_peers


@asynccontextmanager
async def _following(peers: Peers | None, download: Download) -> AsyncIterator[None]:
    """Peers help meanwhile, if the file's hash and size are known: else nobody has it."""
    described = download.description
    if peers is None or described.sha256 is None or not described.size_bytes:
        yield
        return
    # Whoever is the first to answer, peers aren't asked what the file is.
    await download.describe(described.size_bytes, None)
    task = asyncio.ensure_future(peers.follow(download))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        [failure] = await asyncio.gather(task, return_exceptions=True)
        if isinstance(failure, Exception):
            _log.error("fetched without peers", exc_info=failure)


def _origin(description: Description) -> Origin:
    """Hashed: it may be a signed address, and is written beside the partial file."""
    address = hashlib.sha256(description.origin.encode()).hexdigest()
    return Origin(
        description.sha256 or address,
        hashed=description.sha256 is not None,
        size_bytes=0 if description.size_bytes == 0 else None,  # else the server's word counts
    )


__all__ = ["Fetched", "Peers", "fetch"]
