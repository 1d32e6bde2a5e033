"""A download as those see it who help it with other nodes' chunks."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import aiohttp

from pilotlight.store.download import Download
from pilotlight.store.peers.seam import Peer
from pilotlight.store.sources.base import Description


@dataclass(frozen=True, slots=True)
class PeerTrail:
    """A peer's address, for many ranges of the file at once; it leads nowhere else."""

    description: Description
    peer: Peer

    def open(
        self, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return self.peer.open(headers)


@dataclass(slots=True)
class Arriving:
    """A `seam.Transfer`, of a file whose source promised its size and hash."""

    download: Download
    _numbers: dict[str, int] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        assert self.download.description.sha256 is not None
        return self.download.description.sha256

    @property
    def size_bytes(self) -> int:
        assert self.download.description.size_bytes is not None
        return self.download.description.size_bytes

    @property
    def chunk_bytes(self) -> int:
        return self.download.partial.origin.chunk_bytes

    @property
    def kept(self) -> frozenset[int]:
        return frozenset(self.download.partial.kept)

    @property
    def from_origin(self) -> frozenset[int]:
        return self.download.from_origin

    @property
    def received_bytes(self) -> int:
        return self.download.received_bytes

    @property
    def dropped(self) -> frozenset[str]:
        gone = self.download.gone
        return frozenset(url for url, number in self._numbers.items() if number in gone)

    def offer(self, peer: Peer, chunks: Mapping[int, bytes], lanes: int) -> None:
        number = self._numbers.get(peer.url)
        if number is None:
            trail = PeerTrail(
                Description(peer.url, "", self.size_bytes, self.sha256),
                peer,
            )
            number = self._numbers[peer.url] = self.download.offer(trail, frozenset(), lanes)
        self.download.promise(number, chunks)
        self.download.update(number, frozenset(chunks), lanes)

    def grant(self, chunks: frozenset[int] | None) -> None:
        self.download.lease(chunks)
