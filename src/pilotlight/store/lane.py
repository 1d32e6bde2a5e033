"""One request for a run of chunks, from its address to the partial file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import aiohttp

from pilotlight.errors import DigestError, SourceError, StoreError
from pilotlight.store.address import redacted
from pilotlight.store.body import Body, place, validator
from pilotlight.store.limits import Limits
from pilotlight.store.partial import Filling, Partial
from pilotlight.store.retry import TransientError
from pilotlight.store.sources.base import Description
from pilotlight.store.transfer_events import (
    ORIGIN,
    Arrived,
    Decision,
    Ended,
    Event,
    Keep,
    Measured,
    Open,
    Opened,
    Received,
    Rejected,
)

BLOCK_BYTES = 2**20
_BLOCK_S = 0.5  # on a slow line a block is less, so that progress is seen and kept

_T = TypeVar("_T")


class AnewError(TransientError):
    """What is here doesn't belong to what the server has: the file is begun again.

    `plain`: without asking for ranges, for nothing would tell two versions apart.
    """

    def __init__(self, error: SourceError, *, plain: bool = False) -> None:
        super().__init__(error)
        self.plain = plain


class _StoppedError(Exception):
    """The lane's source sent wrong bytes; the core knows."""


class Way(Protocol):
    """How to a source's copy of the file; a `Trail` is one."""

    @property
    def description(self) -> Description: ...

    def open(
        self, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """The answer to GET with these headers too. Raises as `Client.open` does."""
        ...


class Hub(Protocol):
    """What lanes of one file share; all but `in_worker` and `settled` is done at once."""

    partial: Partial
    limits: Limits
    plain: bool
    described: bool
    """Whether a server's word on size and validator has been taken."""

    def post(self, event: Event) -> Sequence[Decision]: ...

    def last(self, lane: int) -> int | None:
        """Where the lane's run ends by now, which its answer may have changed."""
        ...

    def expected(self, source: int, chunk: int) -> bytes | None:
        """The hash that a chunk from there must have, where somebody has said it."""
        ...

    def commit(self, filling: Filling) -> None: ...

    async def describe(self, size_bytes: int | None, validator: str | None) -> None:
        """Take the first server's word for the file, before its first byte."""
        ...

    async def measure(self, size_bytes: int) -> None:
        """A stream of unknown length has ended."""
        ...

    async def settled(self) -> None:
        """Until no cancelled lane writes any more."""
        ...

    async def in_worker(self, work: Callable[[], _T]) -> _T:
        """Run in a thread; cancelled, ends only when the thread has."""
        ...


@dataclass(slots=True)
class Lane:
    """Run `bring` once."""

    hub: Hub
    trail: Way
    order: Open
    _filling: Filling = field(init=False)
    _block: list[bytes | memoryview] = field(default_factory=list)
    _block_bytes: int = 0
    _skipped_bytes: int = 0
    """So many of the bytes that come next are here already."""

    _written_s: float = 0.0
    _raced: list[bytes] = field(default_factory=list)
    _raced_from: int = 0

    async def bring(self) -> None:
        """
        Raises:
            TransientError: another try may help; AnewError: only from the beginning.
            SourceError: the source refuses.
            DigestError: the file is another one than was described.
            StoreError: it can't be written.
        """
        await self.hub.settled()
        self._require_resumable()
        self._take_up(self.order.first)
        self._raced_from = self._filling.filled_bytes
        asked = self._asked()
        try:
            async with self.trail.open(self._headers(asked)) as response:
                body = await self._accept(response, asked)
                if body.total_bytes == 0:
                    return
                self._skipped_bytes = asked[0] - body.start
                if await self._receive(response, body):
                    await self._require_end(response, body)
        except _StoppedError:
            return
        self.hub.post(Ended(self.order.lane))

    # The answer

    def _asked(self) -> tuple[int, int | None]:
        origin, last = self.hub.partial.origin, self.order.last
        start = self.order.first * origin.chunk_bytes + self._filling.filled_bytes
        if last is None:
            return start, None
        end = last * origin.chunk_bytes
        return start, end if origin.size_bytes is None else min(end, origin.size_bytes)

    def _headers(self, asked: tuple[int, int | None]) -> dict[str, str]:
        if self.hub.plain:
            return {}
        origin = self.hub.partial.origin
        end = "" if asked[1] is None else asked[1] - 1
        headers = {"Range": f"bytes={asked[0]}-{end}"}
        if origin.validator and not origin.hashed and not self._peer:
            headers["If-Range"] = origin.validator
        return headers

    async def _accept(
        self, response: aiohttp.ClientResponse, asked: tuple[int, int | None]
    ) -> Body:
        """Check that this is our file, before its first byte is taken."""
        body = place(response.status, response.headers, response.content_length, asked)
        if self._peer:
            return await self._accept_peer(body)
        if body is None:
            raise self._misplaced(response)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise SourceError(f"{self._address} answers compressed, against request")
        body = replace(body, total_bytes=self._total_bytes(body))
        await self._identify(body, validator(response.headers))
        origin = self.hub.partial.origin
        self.hub.post(Opened(self.order.lane, origin.size_bytes, body.ranged and origin.resumable))
        return body

    async def _accept_peer(self, body: Body | None) -> Body:
        """A peer answers with exactly what we asked for, or isn't asked again.

        Its word on the file counts for nothing: the size is the source's, and the bytes are
        held to hashes.
        """
        size_bytes = self.trail.description.size_bytes
        if body is None or not body.ranged or body.total_bytes != size_bytes:
            raise SourceError(f"the peer {self._address} serves another file, or no ranges")
        await self.hub.describe(size_bytes, None)
        self.hub.post(Opened(self.order.lane, size_bytes, ranges=True))
        return body

    def _misplaced(self, response: aiohttp.ClientResponse) -> TransientError:
        what = response.headers.get("Content-Range", "no Content-Range")
        error = self._broken(f"answers {response.status} with {what!r}, not the range asked for")
        # Too short by now, or ranges that are none: what is here may be of another version.
        return AnewError(error.error, plain=response.status == 206)

    def _total_bytes(self, body: Body) -> int | None:
        promised = self.trail.description.size_bytes
        if promised is None or body.total_bytes is None:
            return promised if body.total_bytes is None else body.total_bytes
        if body.total_bytes != promised:
            raise self._wrong_size(f"sends {body.total_bytes} bytes")
        return promised

    async def _identify(self, body: Body, found: str | None) -> None:
        hub, origin = self.hub, self.hub.partial.origin
        if origin.size_bytes is not None and body.total_bytes not in (None, origin.size_bytes):
            raise AnewError(self._broken("has another size by now").error)
        known = hub.described or hub.partial.filled_bytes > 0
        if known and not origin.hashed and found != origin.validator:
            raise AnewError(self._broken("changed since the partial file was begun").error)
        await hub.describe(body.total_bytes, found)
        origin = hub.partial.origin
        # A part that nothing ties to the other parts is of no use, nor one of an unknown whole.
        tied = origin.resumable and origin.size_bytes is not None
        if body.ranged and not tied and body.end != origin.size_bytes:
            raise AnewError(self._broken("can't be fetched in ranges").error, plain=True)

    # The bytes

    async def _receive(self, response: aiohttp.ClientResponse, body: Body) -> bool:
        """Everything up to the run's end; False where the body's end is the file's."""
        self._written_s = asyncio.get_running_loop().time()
        try:
            async for piece in self._pieces(response):
                if not await self._take(memoryview(piece)):
                    return True
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            await self._flush()  # what came before a break is kept
            raise
        await self._flush()
        if body.total_bytes is not None:
            raise self._broken(f"ended early, after {self._reached} of {body.total_bytes} bytes")
        await self._measure()
        return False

    async def _pieces(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        limits = self.hub.limits
        while piece := await response.content.read(limits.piece_bytes):
            await limits.spend(len(piece))
            yield piece

    async def _take(self, piece: memoryview) -> bool:
        """Put `piece` where it belongs; False once the run is complete."""
        while piece := self._beyond_skipped(piece):
            room = self._length - self._filling.filled_bytes - self._block_bytes
            part, piece = piece[:room], piece[room:]
            self._block.append(part)
            self._block_bytes += len(part)
            if len(part) == room:
                await self._flush()
                if not self._next():
                    self._require_nothing_beyond(piece)
                    return False
        if self._block_bytes >= BLOCK_BYTES or self._late():
            await self._flush()
        return True

    def _beyond_skipped(self, piece: memoryview) -> memoryview:
        skipped = min(self._skipped_bytes, len(piece))
        self._skipped_bytes -= skipped
        return piece[skipped:]

    def _late(self) -> bool:
        return asyncio.get_running_loop().time() - self._written_s >= _BLOCK_S

    def _next(self) -> bool:
        """Take up the chunk after this one, if it is in the run."""
        following = self._filling.index + 1
        last = self.hub.last(self.order.lane)
        if last is not None and following >= last:
            return False
        self._take_up(following)
        self._skipped_bytes = self._filling.filled_bytes
        return True

    def _take_up(self, chunk: int) -> None:
        begun = self.hub.partial.begun.get(chunk)
        self._filling = Filling(chunk) if begun is None else begun
        self._filling = self._filling.copy()

    async def _flush(self) -> None:
        """Write and hash what has gathered, then tell."""
        if not self._block_bytes:
            return
        block, self._block, self._block_bytes = b"".join(self._block), [], 0
        fresh = self._filling.copy()
        sound = await self.hub.in_worker(lambda: self._store(fresh, block))
        self._written_s = asyncio.get_running_loop().time()
        if not self.order.race:
            self.hub.commit(fresh)
        if not sound:
            self.hub.post(Rejected(self.order.lane, fresh.index))
            raise _StoppedError
        self._filling = fresh
        self.hub.post(Received(self.order.lane, fresh.index, fresh.filled_bytes))
        if fresh.filled_bytes == self._length:
            await self._complete(fresh)

    def _store(self, filling: Filling, block: bytes) -> bool:
        """In a thread. A racer's bytes stay in memory: the file is another lane's to write."""
        partial = self.hub.partial
        if self.order.race:
            self._raced.append(block)
            filling.take(block)
            return self._sound(filling)
        partial.put(filling, block)
        sound = self._sound(filling)
        if not sound:
            filling.reset()
        partial.mark(filling)
        return sound

    def _sound(self, filling: Filling) -> bool:
        if filling.filled_bytes < self._length:
            return True
        expected = self.hub.expected(self.order.source, filling.index)
        return expected in (None, filling.digest.digest())

    async def _complete(self, filling: Filling) -> None:
        order, partial = self.order, self.hub.partial
        decided = self.hub.post(Arrived(order.lane, filling.index))
        if not order.race or Keep(order.lane, filling.index) not in decided:
            return
        await self.hub.settled()
        await self.hub.in_worker(lambda: partial.replace(filling, self._raced_from, self._raced))
        self.hub.commit(filling)

    async def _measure(self) -> None:
        """The end of a body of unknown length is the end of the file."""
        size_bytes = self._reached
        await self.hub.measure(size_bytes)
        if self._filling.filled_bytes:
            self.hub.commit(self._filling)
            self.hub.post(Arrived(self.order.lane, self._filling.index))
        self.hub.post(Measured(size_bytes))

    @property
    def _length(self) -> int:
        return self.hub.partial.length(self._filling.index)

    @property
    def _reached(self) -> int:
        start = self._filling.index * self.hub.partial.origin.chunk_bytes
        return start + self._filling.filled_bytes

    # Complaints

    def _require_resumable(self) -> None:
        partial = self.hub.partial
        if partial.filled_bytes and not partial.origin.resumable:
            raise AnewError(self._broken("broke off, and can't be continued").error)

    def _require_nothing_beyond(self, rest: memoryview) -> None:
        """Bytes beyond the file's end are wrong; those beyond the run's end just weren't asked."""
        size_bytes = self.hub.partial.origin.size_bytes
        if rest and self._reached == size_bytes:
            raise self._wrong_size(f"sends {size_bytes + len(rest)} bytes or more")

    async def _require_end(self, response: aiohttp.ClientResponse, body: Body) -> None:
        """Read the end of a body that should be over, which frees the connection for the next."""
        if body.ranged or self._reached == self.hub.partial.origin.size_bytes:
            self._require_nothing_beyond(memoryview(await response.content.read(1)))

    def _wrong_size(self, what: str) -> StoreError:
        if self._peer:
            return SourceError(f"the peer {self._address} {what}")
        promised = self.trail.description.size_bytes or self.hub.partial.origin.size_bytes
        return DigestError(
            f"{self._address} {what}, promised were {promised}",
            hint="the file was changed or damaged on the way; don't use it",
        )

    def _broken(self, what: str) -> TransientError:
        return TransientError(
            SourceError(
                f"{self._address} {what}",
                hint="try again; what was fetched is kept and continued",
            )
        )

    @property
    def _peer(self) -> bool:
        return self.order.source != ORIGIN

    @property
    def _address(self) -> str:
        return repr(redacted(self.trail.description.url))
