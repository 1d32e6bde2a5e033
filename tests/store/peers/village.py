"""Nodes with real endpoints on loopback, and transfers that only note what they are told."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pilotlight.config import Settings
from pilotlight.gateway.access import Access
from pilotlight.gateway.app import Gateway
from pilotlight.gateway.keys import KeyStore
from pilotlight.gateway.metrics import Metrics
from pilotlight.gateway.peers import PeerEndpoints
from pilotlight.gateway.serve import listen
from pilotlight.gateway.server import make_server
from pilotlight.store.chunks import span
from pilotlight.store.journal import Journal, Mark, Origin, journal_of
from pilotlight.store.peers.holdings import Holdings
from pilotlight.store.peers.seam import Peer

SECRET = "open sesame"
CHUNK_BYTES = 1000
BODY = bytes(number % 251 for number in range(4500))
COUNT = 5
SHA256 = hashlib.sha256(BODY).hexdigest()
PATIENCE_S = 10.0


def part(chunk: int) -> bytes:
    start, end = span(chunk, len(BODY), CHUNK_BYTES)
    return BODY[start:end]


def hash_of(chunk: int) -> bytes:
    return hashlib.sha256(part(chunk)).digest()


@dataclass
class Note:
    """A `Transfer` that brings nothing by itself."""

    kept: frozenset[int] = frozenset()
    from_origin: frozenset[int] = frozenset()
    dropped: frozenset[str] = frozenset()
    received_bytes: int = 0
    sha256: str = SHA256
    size_bytes: int = len(BODY)
    chunk_bytes: int = CHUNK_BYTES
    grants: list[frozenset[int] | None] = field(default_factory=list)
    offers: dict[str, dict[int, bytes]] = field(default_factory=dict)
    _told: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, peer: Peer, chunks: Mapping[int, bytes], lanes: int) -> None:
        assert lanes > 0
        self.offers[peer.url] = dict(chunks)
        self._told.set()

    def grant(self, chunks: frozenset[int] | None) -> None:
        self.grants.append(chunks)
        self._told.set()

    async def until(self, look: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not look():
                await self._told.wait()
                self._told.clear()

    @property
    def offered(self) -> set[int]:
        return {chunk for chunks in self.offers.values() for chunk in chunks}


@dataclass(frozen=True)
class Node:
    directory: Path
    port: int
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def arrive(self, chunks: Iterable[int], *, size_bytes: int = len(BODY)) -> None:
        """These chunks are in its partial file now."""
        partial = self.directory / "models" / "https-file-0" / "file.partial"
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(BODY)
        origin = Origin(SHA256, hashed=True, size_bytes=size_bytes, chunk_bytes=CHUNK_BYTES)
        marks = {chunk: Mark(len(part(chunk)), hash_of(chunk)) for chunk in chunks}
        Journal(journal_of(partial), origin, marks).close()


@asynccontextmanager
async def node(
    directory: Path, *, secret: str = SECRET, certificate: Path | None = None
) -> AsyncIterator[Node]:
    """Endpoints over the store at `directory`, as `pilotlight serve` has them."""
    loop = asyncio.get_running_loop()
    endpoints = PeerEndpoints(secret, Holdings([directory]), loop.time, send_timeout_s=5.0)
    keys = KeyStore(directory / "keys.json")
    gateway = Gateway(endpoints.routes(), Access(keys, "127.0.0.1", (), ()), Metrics())
    listener = listen("127.0.0.1", 0)
    server = make_server(gateway, Settings(tls_certificate=certificate))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield Node(directory, listener.getsockname()[1], "https" if certificate else "http")
    finally:
        server.cut()
        await serving
