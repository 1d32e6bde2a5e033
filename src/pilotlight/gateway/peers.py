"""What other nodes ask of this one: chunks of files that it has, and who else has them.

The callers are nodes, not users: they show the secret that all of them share, and no API key.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pilotlight.errors import UnauthorizedError, UnknownRouteError
from pilotlight.gateway.app import Route, Routes
from pilotlight.gateway.http import ClientGone, Request, until_gone
from pilotlight.gateway.keys import Key
from pilotlight.store.digest import is_sha256
from pilotlight.store.peers.holdings import Held, Holdings, Reading
from pilotlight.store.peers.tracker import TrackerCore
from pilotlight.store.peers.wire import (
    ANNOUNCE,
    BLOBS,
    ChunkHashes,
    read_announcement,
    write_answer,
    write_listing,
)
from pilotlight.store.worker import in_thread

UPLOADS = 16
"""At once; a node that finds them all taken comes again."""

BODY_BYTES = 2**20
_BLOCK_BYTES = 2**20
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?")


class PeerEndpoints:
    """`secret` lets other nodes in; `now` is any clock that only goes forward."""

    def __init__(
        self, secret: str, holdings: Holdings, now: Callable[[], float], *, send_timeout_s: float
    ) -> None:
        self._secret = _digest(secret)
        self._holdings = holdings
        self._now = now
        self._send_timeout_s = send_timeout_s
        self._tracker = TrackerCore()
        self._uploads = 0

    def routes(self) -> Routes:
        """Public to the edge, which knows API keys alone; each asks for the secret itself."""
        return {
            f"{BLOBS}/*": {"GET": Route(self.blob, public=True, quiet=True)},
            ANNOUNCE: {"POST": Route(self.announce, public=True, quiet=True)},
        }

    async def announce(self, request: Request, key: Key | None) -> None:
        self._check(request)
        client = request.scope.get("client")
        body = await request.body(BODY_BYTES)
        said = read_announcement(body, client[0] if client else None)
        answer = self._tracker.announce(said, self._now())
        await request.answer(200, write_answer(answer, said))

    async def blob(self, request: Request, key: Key | None) -> None:
        self._check(request)
        await request.body(0)
        sha256, _, rest = request.tail(f"{BLOBS}/").partition("/")
        held = await self._find(sha256) if rest in ("", "chunks") else None
        if held is None:
            raise UnknownRouteError(
                f"this node has nothing of {sha256!r}", hint="ask another node, or the origin"
            )
        if rest:
            listing = ChunkHashes(held.size_bytes, held.chunk_bytes, held.sha256)
            await request.answer(200, write_listing(listing))
        else:
            await self._range(request, held)

    async def _find(self, sha256: str) -> Held | None:
        if not is_sha256(sha256):
            return None
        return await in_thread(lambda tick: self._holdings.find(sha256))

    def _check(self, request: Request) -> None:
        """Raises UnauthorizedError; hashed, so that neither time nor length tells the secret."""
        _, _, shown = request.headers.get("authorization", "").partition(" ")
        if not hmac.compare_digest(_digest(shown.strip()), self._secret):
            raise UnauthorizedError(
                "this is for nodes that know store.peer_secret",
                hint="set the same store.peer_secret on all nodes",
            )

    async def _range(self, request: Request, held: Held) -> None:
        asked = _asked(request.headers.get("range"), held.size_bytes)
        if asked is None:
            await _unsatisfied(request, held)
            return
        with self._upload() as free:
            if free:
                await until_gone(request, self._send(request, held, *asked))
            else:
                await _later(request)

    @contextmanager
    def _upload(self) -> Iterator[bool]:
        if self._uploads >= UPLOADS:
            yield False
            return
        self._uploads += 1
        try:
            yield True
        finally:
            self._uploads -= 1

    async def _send(self, request: Request, held: Held, start: int, end: int) -> None:
        try:
            with held.open() as reading:
                if await in_thread(lambda tick: reading.vouch(start, end, tick)):
                    await self._stream(request, reading, start, end)
                    return
        except FileNotFoundError:  # it is becoming a blob at this moment
            await _later(request)
            return
        await _unsatisfied(request, held)

    async def _stream(self, request: Request, reading: Reading, start: int, end: int) -> None:
        size_bytes = reading.held.size_bytes
        partly = "range" in request.headers
        headers = [
            (b"content-type", b"application/octet-stream"),
            (b"content-length", b"%d" % (end - start)),
            (b"accept-ranges", b"bytes"),
            (b"x-request-id", request.id.encode()),
        ]
        if partly:
            span = b"bytes %d-%d/%d" % (start, end - 1, size_bytes)
            headers.append((b"content-range", span))
        await request.start(206 if partly else 200, headers)
        if request.method == "HEAD":
            await request.send(b"", more=False)
            return
        while start < end:
            block = await self._block(reading, start, min(_BLOCK_BYTES, end - start))
            start += len(block)
            try:
                async with asyncio.timeout(self._send_timeout_s):
                    await request.send(block, more=start < end)
            except TimeoutError:  # it stopped reading, and keeps an upload from the others
                raise ClientGone from None

    async def _block(self, reading: Reading, start: int, count: int) -> bytes:
        block = await in_thread(lambda tick: reading.read(start, count))
        if not block:
            raise OSError(f"{reading.held.path.name!r} became shorter while it was sent")
        return block


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _asked(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """Where the wanted bytes begin and end; None for a form or place that there isn't."""
    if header is None:
        return 0, size_bytes
    match = _RANGE.fullmatch(header)
    if match is None:
        return None
    start = int(match[1])
    end = size_bytes if match[2] is None else min(int(match[2]) + 1, size_bytes)
    return (start, end) if start < end else None


async def _later(request: Request) -> None:
    await request.answer(503, b"", headers=(("retry-after", "1"),))


async def _unsatisfied(request: Request, held: Held) -> None:
    """Those bytes aren't here, or not verified."""
    await request.answer(416, b"", headers=(("content-range", f"bytes */{held.size_bytes}"),))
