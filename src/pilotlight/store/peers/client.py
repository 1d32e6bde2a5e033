"""What a node asks of its tracker and of other nodes, over HTTP."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from pilotlight import __version__
from pilotlight.errors import SourceError
from pilotlight.store.client import retry_after_s
from pilotlight.store.network import Network
from pilotlight.store.peers.seam import Peer
from pilotlight.store.peers.tracker import Announcement, Answer
from pilotlight.store.peers.wire import (
    ANNOUNCE,
    BLOBS,
    Address,
    ChunkHashes,
    read_answer,
    read_listing,
    write_announcement,
)
from pilotlight.store.retry import TransientError
from pilotlight.store.worker import in_thread

_T = TypeVar("_T")

ANSWER_S = 1.0
"""Whoever takes longer is as good as gone: the origin is always there."""

_MOST_BYTES = 128 * 2**20
_CHUNKS = aiohttp.ClientTimeout(total=None, sock_connect=2.0, sock_read=5.0)


class PeerError(Exception):
    """A node or the tracker can't be reached, refuses, or answers nonsense."""

    def __init__(self, message: str, *, lacks: bool = False) -> None:
        super().__init__(message)
        self.lacks = lacks
        """It is well, and has nothing of the file."""


class PeerClient:
    """One HTTP session; an async context manager. Nodes are reached directly, not by proxy."""

    def __init__(self, network: Network, secret: str) -> None:
        self._network = network
        self._secret = secret
        self._context: ssl.SSLContext | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers={
                "User-Agent": f"pilotlight/{__version__}",
                "Accept-Encoding": "identity",
                "Authorization": f"Bearer {self._secret}",
            },
            trust_env=False,
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def peer(self, url: str, sha256: str) -> Peer:
        """The node at `url` as one that has chunks of the file."""
        address = f"{url}{BLOBS}/{sha256}"
        return Peer(address, lambda headers: self._open(address, headers))

    async def announce(self, tracker: str, said: Announcement, address: Address | None) -> Answer:
        """Raises PeerError."""
        body = write_announcement(said, address)
        url = f"{tracker.rstrip('/')}{ANNOUNCE}"
        return await self._ask("POST", url, lambda answer: read_answer(answer, said), body)

    async def chunks(self, peer: Peer) -> ChunkHashes:
        """What `peer` has. Raises PeerError."""
        return await self._ask("GET", f"{peer.url}/chunks", read_listing)

    async def _ask(
        self, method: str, url: str, read: Callable[[bytes], _T], body: bytes | None = None
    ) -> _T:
        question = aiohttp.ClientTimeout(total=ANSWER_S)
        try:
            async with self._request(method, url, question, data=body) as response:
                if response.status != 200:
                    raise PeerError(
                        f"{url} answers {response.status}", lacks=response.status == 404
                    )
                return read(await _body(response))
        except (aiohttp.ClientError, TimeoutError, OSError, SourceError) as error:
            what = str(error) or type(error).__name__
            raise PeerError(f"{url} can't be reached: {what}") from error
        except ValueError as error:
            raise PeerError(f"{url} doesn't answer as a node does: {error}") from error

    @asynccontextmanager
    async def _open(
        self, url: str, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """See `seam.Peer.open`."""
        try:
            async with self._request("GET", url, _CHUNKS, headers=headers) as response:
                _require_chunks(url, response)
                try:
                    yield response
                finally:
                    response.close()  # a body left half read can't be followed by another
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            what = str(error) or type(error).__name__
            raise TransientError(SourceError(f"the peer {url!r} broke off: {what}")) from error

    @asynccontextmanager
    async def _request(
        self, method: str, url: str, timeout: aiohttp.ClientTimeout, **given: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Never redirected: the secret is for the node that was named."""
        assert self._session is not None, "use `async with`"
        async with self._session.request(
            method, url, timeout=timeout, ssl=await self._tls(url), allow_redirects=False, **given
        ) as response:
            yield response

    async def _tls(self, url: str) -> ssl.SSLContext | bool:
        """Made when it is needed: reading all authorities takes longer than most answers."""
        if not url.startswith("https:"):
            return True
        if self._context is None:
            self._context = await in_thread(lambda tick: self._network.ssl_context())
        return self._context


def _require_chunks(url: str, response: aiohttp.ClientResponse) -> None:
    if response.status == 206:
        return
    error = SourceError(f"the peer {url!r} answers {response.status}")
    if response.status != 503:
        raise error
    wait_s = retry_after_s(response.headers.get("Retry-After"), time.time())
    raise TransientError(error, retry_after_s=wait_s, busy=True)


async def _body(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for block in response.content.iter_any():
        content += block
        if len(content) > _MOST_BYTES:
            raise ValueError(f"over {_MOST_BYTES} bytes")
    return bytes(content)
