"""The nodes that one transfer gets chunks from: what each has, and which can't be used."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from pilotlight.store.peers.bitmap import bitmap
from pilotlight.store.peers.client import PeerClient, PeerError
from pilotlight.store.peers.seam import Transfer
from pilotlight.store.peers.wire import ChunkHashes

LANES = 4
"""Of all neighbours together, if they are few: while one waits for its next answer, others
receive. More would take the node's link from the chunks that it alone is bringing."""

SHUN_S = 10.0


class Neighbourhood:
    """An async context manager; it looks at nobody any more once it is left."""

    def __init__(self, client: PeerClient, transfer: Transfer) -> None:
        self._client, self._transfer = client, transfer
        self._has: dict[str, int] = {}
        """What each has of what we have hashes for, by its address."""

        self._shunned_until_s: dict[str, float] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._named: frozenset[str] = frozenset()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tasks = list(self._looking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def meet(self, named: Mapping[str, int]) -> None:
        """Have these neighbours, of whom somebody says what they have, and no others of his."""
        for url in self._named - named.keys():
            self._forget(url)
        self._named = frozenset(named)
        kept = bitmap(self._transfer.kept)
        for url, have in named.items():
            # Their hashes are asked of themselves, when there is something new.
            if have & ~self._has.get(url, 0) & ~kept:
                self._begin_look(url, expected=True)

    def look_again(self) -> None:
        """Ask the neighbours themselves, while nobody else says what they have."""
        for url in self._named - self.shunned():
            self._begin_look(url, expected=False)

    async def look(self, urls: Iterable[str]) -> None:
        """Ask these what they have; returns when all have said it, or failed to."""
        await asyncio.gather(
            *(self._begin_look(url, expected=False) for url in urls if url not in self.shunned()),
            return_exceptions=True,
        )

    def useful(self, url: str) -> bool:
        """Whether it has something that we still lack."""
        return bool(self._has.get(url, 0) & ~bitmap(self._transfer.kept))

    def shunned(self) -> frozenset[str]:
        """Those we can't get chunks from now, whatever others say that they have."""
        now = asyncio.get_running_loop().time()
        path = self._client.peer("", self._transfer.sha256).url
        lost = {url.removesuffix(path) for url in self._transfer.dropped}
        resting = {url for url, until_s in self._shunned_until_s.items() if now < until_s}
        return frozenset(lost | resting)

    def _begin_look(self, url: str, *, expected: bool) -> asyncio.Task[None]:
        """`expected`: the tracker counts on it, so that it must hear where it has nothing."""
        task = self._looking.get(url)
        if task is None or task.done():
            task = self._looking[url] = asyncio.create_task(self._look(url, expected))
        return task

    async def _look(self, url: str, expected: bool) -> None:
        peer = self._client.peer(url, self._transfer.sha256)
        try:
            listing = await self._client.chunks(peer)
            self._check(listing)
        except PeerError as error:
            if expected or not error.lacks:
                self._shunned_until_s[url] = asyncio.get_running_loop().time() + SHUN_S
            self._forget(url)
            return
        self._has[url] = bitmap(listing.sha256)
        self._transfer.offer(peer, listing.sha256, max(1, LANES // len(self._has)))

    def _check(self, listing: ChunkHashes) -> None:
        """Raises PeerError: its chunks are of another size, so they are others."""
        transfer = self._transfer
        if (listing.size_bytes, listing.chunk_bytes) != (transfer.size_bytes, transfer.chunk_bytes):
            raise PeerError(f"it has a file of {listing.size_bytes} bytes under this hash")

    def _forget(self, url: str) -> None:
        if self._has.pop(url, 0):
            peer = self._client.peer(url, self._transfer.sha256)
            self._transfer.offer(peer, {}, lanes=1)
