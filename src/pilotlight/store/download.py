"""One attempt at a file: performs what `TransferCore` decides, over real lanes.

The event loop owns all state. Threads of `Workers` write and hash one block each and
return; nothing here waits for a disk on the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from pilotlight.errors import DigestError, SourceError, StoreError
from pilotlight.store.disk import missing_bytes, require_room
from pilotlight.store.lane import AnewError, Lane, Way
from pilotlight.store.limits import Limits
from pilotlight.store.partial import Filling, Partial
from pilotlight.store.progress import Reporter, Watch
from pilotlight.store.retry import Retry, TransientError
from pilotlight.store.sources.base import Description
from pilotlight.store.trail import Trail
from pilotlight.store.transfer import TransferCore
from pilotlight.store.transfer_events import (
    ORIGIN,
    Cancel,
    Decision,
    Event,
    Failed,
    Finish,
    GiveUp,
    Granted,
    Keep,
    Offered,
    Open,
    Refused,
    Ticked,
)

THREADS = 4
_HASHED_AT_ONCE_BYTES = 32 * 2**20

_T = TypeVar("_T")


class Workers:
    """Threads for one file's writing and hashing, apart from those that resolve names."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="pilotlight-fetch")

    async def run(self, work: Callable[[], _T]) -> _T:
        """Cancelled, it returns when the thread is done: nobody writes after the lock is gone."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    def close(self) -> None:
        self._pool.shutdown()


class Download:
    """A `lane.Hub`. Run `run` once; peers may be offered before and meanwhile."""

    def __init__(
        self,
        trail: Trail,
        partial: Partial,
        workers: Workers,
        *,
        retry: Retry,
        limits: Limits,
        most_lanes: Callable[[], int],
        reporter: Reporter,
        watch: Watch | None = None,
        plain: bool = False,
        seed: int = 0,
    ) -> None:
        self.partial, self.limits, self.plain = partial, limits, plain
        self.described = partial.origin.size_bytes is not None and partial.filled_bytes > 0
        self._trails: dict[int, Way] = {ORIGIN: trail}
        self._workers, self._retry, self._most_lanes = workers, retry, most_lanes
        self._reporter, self._watch = reporter, watch
        self._core = TransferCore(
            partial.origin.size_bytes or trail.description.size_bytes,
            retry,
            kept=partial.kept,
            filled_bytes={chunk: one.filled_bytes for chunk, one in partial.begun.items()},
            chunk_bytes=partial.origin.chunk_bytes,
            seed=seed,
        )
        self._promised: dict[int, Mapping[int, bytes]] = {}
        self.from_peers: set[int] = set()
        """The chunks that others than the origin brought, if only a part of one."""

        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._errors: dict[int, StoreError] = {}
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle = asyncio.Event()
        self._describing = asyncio.Lock()
        self._hashing: asyncio.Task[None] | None = None
        self._front = 0
        self._prefix_bytes = 0
        self._ahead_s = 0.0
        self._do: Mapping[type[Any], Callable[[Any], None]] = {
            Open: self._open,
            Cancel: self._cancel,
            GiveUp: self._give_up,
            Keep: lambda decision: None,  # the lane that asked reads it from `post`
            Finish: lambda decision: self._advance(),
        }

    async def run(self) -> None:
        """Until every chunk is kept and the whole hashed; raises as `fetch.fetch` does."""
        try:
            self._advance()
            while not self._over.done():
                self.post(Ticked())
                await self._rest()
            await self._over
        finally:
            await self._stop()

    # Peers

    @property
    def description(self) -> Description:
        """The file, as its source has it."""
        return self._trails[ORIGIN].description

    def offer(self, trail: Way, chunks: frozenset[int], lanes: int) -> int:
        """A peer that has these chunks; its number. Only for a file whose hash is known:
        nothing else tells whether a peer's bytes are the source's."""
        assert self.partial.origin.hashed
        number = max(self._trails) + 1
        self._trails[number] = trail
        self.post(Offered(number, chunks, lanes))
        return number

    def promise(self, peer: int, hashes: Mapping[int, bytes]) -> None:
        """Hold a peer's chunks to the hashes that it says they have."""
        self._promised[peer] = hashes

    def update(self, peer: int, chunks: frozenset[int], lanes: int) -> None:
        """What a peer has by now; nothing, when it left."""
        self.post(Offered(peer, chunks, lanes))

    def lease(self, chunks: frozenset[int] | None) -> None:
        """What the origin may be asked for from now on; None: anything. What it is sending
        already goes on, and an empty lease is no failure: the download waits for more."""
        self.post(Granted(chunks))

    @property
    def from_origin(self) -> frozenset[int]:
        """What the origin sends now, or is to send on a lane that is open."""
        lanes = [lane for lane in self._core.lanes.values() if lane.source == ORIGIN]
        return frozenset(
            chunk
            for lane in lanes
            for chunk in range(lane.chunk, lane.chunk + 1 if lane.last is None else lane.last)
        )

    @property
    def received_bytes(self) -> int:
        return self._core.received_bytes

    @property
    def gone(self) -> frozenset[int]:
        """The sources that were given up."""
        return frozenset(n for n, source in self._core.sources.items() if source.gone)

    # What lanes ask

    def post(self, event: Event) -> Sequence[Decision]:
        decisions = self._core.handle(event, self._now(), self._most_lanes())
        for decision in decisions:
            self._do[type(decision)](decision)
        return decisions

    def last(self, lane: int) -> int | None:
        here = self._core.lanes.get(lane)
        return 0 if here is None else here.last

    def expected(self, source: int, chunk: int) -> bytes | None:
        return self._promised.get(source, {}).get(chunk)

    def commit(self, filling: Filling) -> None:
        self.partial.commit(filling)
        self._reporter.say("download", self.partial.filled_bytes, self.partial.origin.size_bytes)
        if filling.index in self.partial.kept:
            self._advance()

    async def describe(self, size_bytes: int | None, validator: str | None) -> None:
        async with self._describing:
            if self.described:
                return
            if size_bytes is not None:
                self._require_room(size_bytes)
            origin = replace(self.partial.origin, size_bytes=size_bytes, validator=validator)
            await self._workers.run(lambda: self.partial.describe(origin))
            self.described = True

    async def measure(self, size_bytes: int) -> None:
        origin = replace(self.partial.origin, size_bytes=size_bytes)
        await self._workers.run(lambda: self.partial.describe(origin))

    def _require_room(self, size_bytes: int) -> None:
        path = self.partial.path
        what = repr(self._trails[ORIGIN].description.file_name)
        require_room(path.parent, missing_bytes(path, size_bytes), what)

    async def settled(self) -> None:
        while self._leaving:
            await asyncio.wait(self._leaving)

    async def in_worker(self, work: Callable[[], _T]) -> _T:
        return await self._workers.run(work)

    # Decisions

    def _open(self, order: Open) -> None:
        if order.source != ORIGIN:
            self.from_peers.update(range(order.first, order.last or order.first + 1))
        lane = Lane(self, self._trails[order.source], order)
        task = asyncio.create_task(self._bring(lane))
        self._tasks[order.lane] = task
        task.add_done_callback(lambda _: self._closed(order.lane))

    def _closed(self, lane: int) -> None:
        del self._tasks[lane]
        if not self._tasks:
            self._idle.set()

    async def _bring(self, lane: Lane) -> None:
        """A lane's end, told to the core; what no other lane could mend ends the attempt."""
        number = lane.order.lane
        try:
            await lane.bring()
        except (AnewError, DigestError) as error:
            if lane.order.source == ORIGIN:
                self._fail(error)
            else:  # its own trouble; the file is what the origin has
                self.post(Refused(number))
        except TransientError as failure:
            self._errors[number] = failure.error
            failure.error.__cause__ = failure.__cause__
            self.post(Failed(number, failure.busy, failure.retry_after_s))
        except SourceError as error:
            self._errors[number] = error
            self.post(Refused(number))
        except Exception as error:
            self._fail(error)

    def _cancel(self, order: Cancel) -> None:
        task = self._tasks.get(order.lane)
        if task is not None:
            task.cancel()
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def _give_up(self, decision: GiveUp) -> None:
        unknown = SourceError("nobody has what is missing of the file", hint="try again later")
        self._fail(self._errors.get(decision.lane, unknown))

    def _fail(self, error: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(error)

    # The verified front

    def _advance(self) -> None:
        """Chunks were kept: the front may have grown, and with it what can be hashed."""
        partial = self.partial
        # Not the core's front: a race that is won still has to be written.
        while self._front in partial.kept:
            self._front += 1
        size_bytes = partial.origin.size_bytes
        end = self._front * partial.origin.chunk_bytes
        end = end if size_bytes is None else min(end, size_bytes)
        if end > self._prefix_bytes:
            self._prefix_bytes = end
            if self._watch is not None:
                self._watch(partial.path, end)
        if self._hashing is None and not self._over.done():
            self._hashing = asyncio.create_task(self._hash())

    async def _hash(self) -> None:
        partial = self.partial
        try:
            while partial.hashed_bytes < self._prefix_bytes:
                end = min(self._prefix_bytes, partial.hashed_bytes + _HASHED_AT_ONCE_BYTES)
                await self._workers.run(lambda end=end: partial.hash_to(end))  # type: ignore[misc]
        except Exception as error:
            self._fail(error)
        self._hashing = None
        whole = self._core.chunks.whole and partial.hashed_bytes == partial.origin.size_bytes
        if whole and not self._over.done():
            self._over.set_result(None)

    # Time

    def _now(self) -> float:
        return asyncio.get_running_loop().time() + self._ahead_s

    async def _rest(self) -> None:
        """Until the core wants to look again. With lanes open that is soon, whatever happens.

        Without any it is a pause between tries, which `Retry.sleep` makes; a test's doesn't
        take any time, so the clock is set to when it would have ended.
        """
        until_s = self._core.deadline_s(self._now())
        wait_s = until_s - self._now()
        if self._tasks or self._hashing or self._core.over:
            self._idle.clear()
            idle = asyncio.ensure_future(self._idle.wait())
            either: list[asyncio.Future[Any]] = [self._over, idle]
            timeout_s = max(0.0, wait_s)
            await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            idle.cancel()
            return
        await self._retry.sleep(wait_s)
        self._ahead_s += max(0.0, until_s - self._now())

    async def _stop(self) -> None:
        self._core.over = True  # a helper's last word must not open a lane again
        tasks = [*self._tasks.values(), *self._leaving]
        tasks += [self._hashing] if self._hashing is not None else []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._over.done() and not self._over.cancelled():
            self._over.exception()
