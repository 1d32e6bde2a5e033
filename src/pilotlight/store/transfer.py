"""One file's transfer as a machine: an event and the time in, decisions out. No I/O, no clock.

`store.fetch` drives it over real connections; tests drive the very same code under
any order of failures. Chunks are missing, being brought by one lane (and perhaps
raced by another), or kept; a chunk is kept once.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pilotlight.store.chunks import CHUNK_BYTES
from pilotlight.store.retry import Retry
from pilotlight.store.transfer_events import (
    ORIGIN,
    Arrived,
    Cancel,
    Decision,
    Ended,
    Event,
    Failed,
    Finish,
    GiveUp,
    Granted,
    Keep,
    Measured,
    Offered,
    Open,
    Opened,
    Received,
    Refused,
    Rejected,
    Ticked,
)
from pilotlight.store.transfer_race import STALL_S, Meter, slowest
from pilotlight.store.transfer_state import Chunks, Lane, Source
from pilotlight.store.width import INTERVAL_S, Width

LONGEST_RUN = 4
MOST_RACES = 2
MOST_REJECTIONS = 3
"""Of one chunk by the origin; a peer that serves wrong bytes once isn't asked again."""

PEER_STALL_S = 3.0
"""A machine that went off says nothing; of peers there are others."""

PEER_FAILURES = 3
ALIVE_S = 2.0
"""A source that sent anything within this is alive: one lane's failure is its own."""


class TransferCore:
    """Owns the state; `handle` is the only way to change it."""

    def __init__(
        self,
        size_bytes: int | None,
        retry: Retry,
        *,
        kept: Iterable[int] = (),
        filled_bytes: Mapping[int, int] | None = None,
        chunk_bytes: int = CHUNK_BYTES,
        seed: int = 0,
    ) -> None:
        """`kept` and `filled_bytes` are what an earlier process left; `seed` sets this node's
        own order among equally rare chunks, so that peers have something to trade."""
        self.chunks = Chunks(size_bytes, chunk_bytes, filled_bytes=dict(filled_bytes or {}))
        for chunk in kept:
            self.chunks.keep(chunk)
        self.sources = {ORIGIN: Source(None, lanes=2**16)}
        self.lanes: dict[int, Lane] = {}
        self.width = Width()
        self.over = False
        self._retry, self._seed = retry, seed
        self._next_lane = 0
        self._last_failed = -1
        self.received_bytes = 0
        self._race_after_s = 0.0
        self._meter = Meter()
        self._rates: deque[float] = deque(maxlen=8)
        self._on: Mapping[type[Any], Callable[[Any, float], Iterable[Decision]]] = {
            Opened: self._opened,
            Received: self._received,
            Arrived: self._arrived,
            Rejected: self._rejected,
            Measured: self._measured,
            Ended: self._ended,
            Failed: self._failed,
            Refused: self._refused,
            Offered: self._offered,
            Granted: self._granted,
            Ticked: self._ticked,
        }

    def handle(self, event: Event, now: float, most_lanes: int) -> list[Decision]:
        """Apply `event`, and decide what follows from it with at most so many lanes.

        Events of a lane that was cancelled or has ended change nothing: they were under way.
        """
        lane = getattr(event, "lane", None)
        if self.over or (lane is not None and lane not in self.lanes):
            return []
        decisions = [*self._on[type(event)](event, now)]
        if self.chunks.whole:
            self.over = True
            return [*decisions, Finish()]
        return [*decisions, *self._decide(now, most_lanes)]

    def deadline_s(self, now: float) -> float:
        """When to say `Ticked` next, if nothing else happens."""
        if self.lanes:
            return now + INTERVAL_S
        rests = [source.rest_until_s for source in self.sources.values() if not source.gone]
        rests += self.chunks.rest_until_s.values()
        return min((rest for rest in rests if rest > now), default=now + INTERVAL_S)

    # Events

    def _opened(self, event: Opened, now: float) -> Iterable[Decision]:
        lane = self.lanes[event.lane]
        source = self.sources[lane.source]
        lane.answered = source.answered = True
        if self.chunks.size_bytes is None:
            self.chunks.size_bytes = event.size_bytes
        if not event.ranges and not lane.race:
            source.lanes = 1
            self._extend(event.lane)
        elif self.chunks.count is not None and lane.last is not None:
            lane.last = min(lane.last, self.chunks.count)
        return ()

    def _extend(self, number: int) -> None:
        """Its source sends everything at once: it may as well bring what follows and is free."""
        lane, count = self.lanes[number], self.chunks.count
        if count is None or lane.last is None:
            lane.last = None
            return
        while lane.last < count and self.chunks.free(lane.last):
            self.chunks.lane[lane.last] = number
            lane.last += 1

    def _received(self, event: Received, now: float) -> Iterable[Decision]:
        lane = self.lanes[event.lane]
        source = self.sources[lane.source]
        if not lane.race:
            before = self.chunks.filled_bytes.get(event.chunk, 0)
            self.received_bytes += max(0, event.filled_bytes - before)
            lane.received_bytes += max(0, event.filled_bytes - before)
            self.chunks.filled_bytes[event.chunk] = event.filled_bytes
            self.chunks.failures.pop(event.chunk, None)
        lane.heard_s = source.heard_s = now
        source.failures = 0
        return ()

    def _arrived(self, event: Arrived, now: float) -> Iterable[Decision]:
        number, chunk = event.lane, event.chunk
        lane = self.lanes[number]
        if not lane.race:
            lane.chunk = chunk + 1
            if lane.last is None:
                self.chunks.lane[chunk + 1] = number
        if chunk in self.chunks.kept:
            return
        yield Keep(number, chunk)
        rival = self.chunks.lane.get(chunk) if lane.race else self.chunks.racer.get(chunk)
        self.chunks.keep(chunk)
        if rival is not None and rival in self.lanes:
            self._close(rival)
            yield Cancel(rival)

    def _rejected(self, event: Rejected, now: float) -> Iterable[Decision]:
        lane = self.lanes[event.lane]
        if not lane.race:
            self.chunks.filled_bytes.pop(event.chunk, None)
        rejections = self.chunks.rejections.get(event.chunk, 0) + 1
        self.chunks.rejections[event.chunk] = rejections
        if lane.source != ORIGIN or rejections >= MOST_REJECTIONS:
            self.sources[lane.source].gone = True
        return self._failed(Failed(event.lane), now)

    def _measured(self, event: Measured, now: float) -> Iterable[Decision]:
        self.chunks.size_bytes = event.size_bytes
        return ()

    def _ended(self, event: Ended, now: float) -> Iterable[Decision]:
        self._close(event.lane)
        return ()

    def _failed(self, event: Failed, now: float) -> Iterable[Decision]:
        lane = self.lanes[event.lane]
        self._last_failed = event.lane
        self._close(event.lane)
        alive = [other for other in self.lanes.values() if other.source == lane.source]
        if lane.source == ORIGIN:
            unwanted = event.busy or not lane.answered
            self.width.shrink(len(alive) if unwanted else self.width.lanes, now)
        if lane.race:
            self._race_after_s = now + self._retry.first_delay_s
            return ()
        if lane.source != ORIGIN:
            self._rest_peer(self.sources[lane.source], event, now)
            return ()
        failures = self.chunks.failures.get(lane.chunk, 0) + 1
        self.chunks.failures[lane.chunk] = failures
        if not self._bearable(event, lane, failures, now, bool(alive)):
            self.sources[lane.source].gone = True
        return ()

    def _rest_peer(self, peer: Source, event: Failed, now: float) -> None:
        """Its failures are its own, not the chunk's: the origin is asked for that afresh."""
        if now >= peer.rest_until_s and not event.busy:
            peer.failures += 1
        delay_s = self._retry.delay_s(max(1, peer.failures), event.retry_after_s)
        peer.rest_until_s = max(peer.rest_until_s, now + delay_s)
        peer.gone = peer.gone or peer.failures >= PEER_FAILURES

    def _bearable(self, event: Failed, lane: Lane, failures: int, now: float, others: bool) -> bool:
        """Put the next try off; False when there should be none."""
        source = self.sources[lane.source]
        lively = others and now - source.heard_s < ALIVE_S
        asked_s = event.retry_after_s
        if asked_s is not None and asked_s > self._retry.longest_retry_after_s:
            if not lively:
                return False
            asked_s = None  # it serves the others meanwhile: with fewer lanes then
        if now >= source.rest_until_s:
            source.failures += 1
        failures = max(failures, source.failures)
        if failures >= self._retry.attempts:
            return False
        until_s = now + self._retry.delay_s(failures, asked_s)
        if lively and not event.busy:
            self.chunks.rest_until_s[lane.chunk] = until_s
        else:
            source.rest_until_s = max(source.rest_until_s, until_s)
        return True

    def _refused(self, event: Refused, now: float) -> Iterable[Decision]:
        lane = self.lanes[event.lane]
        self._last_failed = event.lane
        self._close(event.lane)
        if lane.race:
            self._race_after_s = now + self._retry.first_delay_s
        else:
            self.sources[lane.source].gone = True
        return ()

    def _offered(self, event: Offered, now: float) -> Iterable[Decision]:
        known = self.sources.get(event.source)
        if known is None:
            self.sources[event.source] = Source(event.chunks, event.lanes)
        else:
            known.chunks, known.lanes = event.chunks, event.lanes
        return ()

    def _granted(self, event: Granted, now: float) -> Iterable[Decision]:
        self.sources[ORIGIN].chunks = event.chunks
        return ()

    def _ticked(self, event: Ticked, now: float) -> Iterable[Decision]:
        return ()

    # Decisions

    def _decide(self, now: float, most_lanes: int) -> Iterable[Decision]:
        yield from self._drop_stalled(now)
        self._meter.observe(self.received_bytes, now)
        receiving = sum(lane.answered for lane in self.lanes.values())
        self.width.observe(self.received_bytes, now, full=receiving >= self._most(most_lanes))
        while len(self.lanes) < self._most(most_lanes):
            opened = self._assign(now) or self._race(now)
            if opened is None:
                break
            yield opened
        if not self.lanes and not self._hopeful():
            self.over = True
            yield GiveUp(self._last_failed)

    def _most(self, most_lanes: int) -> int:
        if len(self.sources) > 1:
            return most_lanes  # each peer bounds its own lanes
        return min(most_lanes, self.width.lanes)

    def _hopeful(self) -> bool:
        """Whether some source has any of what is missing, or may be allowed to give it."""
        usable = [source for source in self.sources.values() if not source.gone]
        if not self.sources[ORIGIN].gone:
            return True
        return any(source.has(chunk) for chunk in self.chunks.window() for source in usable)

    def _drop_stalled(self, now: float) -> Iterator[Decision]:
        """A lane without a byte for long, while others have them, is broken and doesn't know."""
        lively = any(now - lane.heard_s < ALIVE_S for lane in self.lanes.values())
        for number, lane in list(self.lanes.items()):
            silent_s = now - lane.heard_s
            if lane.source != ORIGIN and silent_s > PEER_STALL_S:
                self._failed(Failed(number), now)
                yield Cancel(number)
            elif silent_s > STALL_S and lively:
                self._close(number)
                yield Cancel(number)

    def _assign(self, now: float) -> Open | None:
        for number in self._open_sources(now):
            chunk = self._choose(number, now)
            if chunk is not None:
                return self._open(number, chunk, self._run_end(number, chunk), now)
        return None

    def _open_sources(self, now: float) -> list[int]:
        """Who may be asked for more: the origin for what others wait for too, then peers, and
        then the origin for the rest, for all need it.
        """
        leased = self.sources[ORIGIN].chunks is not None
        busy = [lane.source for lane in self.lanes.values()]
        usable = [
            number
            for number, source in self.sources.items()
            if not source.gone
            and now >= source.rest_until_s
            and busy.count(number) < (source.lanes if source.answered else min(source.lanes, 1))
        ]
        return sorted(
            usable, key=lambda number: ((number == ORIGIN) is not leased, busy.count(number))
        )

    def _choose(self, source: int, now: float) -> int | None:
        """The next chunk of this source: the front one, or the rarest near the front."""
        rests = self.chunks.rest_until_s
        open_now = [c for c in self._candidates(source) if rests.get(c, 0.0) <= now]
        if not open_now:
            return None
        if len(self.sources) == 1 or open_now[0] == 0:
            return open_now[0]
        return min(open_now, key=lambda chunk: (self._holders(chunk), self._rank(chunk)))

    def _candidates(self, number: int) -> list[int]:
        """What a source has near the front, or anywhere: a lease may be for what comes later."""
        source, chunks = self.sources[number], self.chunks
        near = [chunk for chunk in chunks.window() if source.has(chunk)]
        if near or source.chunks is None or source.gone:
            return near
        return sorted(chunk for chunk in source.chunks if chunks.free(chunk))

    def _holders(self, chunk: int) -> int:
        return sum(source.has(chunk) for source in self.sources.values())

    def _rank(self, chunk: int) -> float:
        return random.Random(self._seed * 2**32 + chunk).random()

    def _run_end(self, source: int, first: int) -> int | None:
        """Long runs spare round trips; short ones near the end let all lanes end together.

        With leases, what is claimed must be on its way: others wait for it.
        """
        count = self.chunks.count
        if count is None or self.sources[ORIGIN].chunks is not None:
            return first + 1  # of unknown size: an answer to this much of it tells it
        share = (count - len(self.chunks.kept)) // (2 * max(1, self.width.lanes))
        most = max(1, min(LONGEST_RUN, share)) if self.sources[source].answered else 1
        last = first + 1
        has = self.sources[source].has
        while last < min(count, first + most) and self.chunks.untouched(last) and has(last):
            last += 1
        return last

    def _open(
        self, source: int, first: int, last: int | None, now: float, *, race: bool = False
    ) -> Open:
        number, self._next_lane = self._next_lane, self._next_lane + 1
        self.lanes[number] = Lane(source, first, last, race, now, now)
        if race:
            self.chunks.racer[first] = number
        else:
            for chunk in range(first, first + 1 if last is None else last):
                self.chunks.lane[chunk] = number
        return Open(number, source, first, last, race)

    def _race(self, now: float) -> Open | None:
        """Nothing is left to assign: help whoever is slowest, if he is slow."""
        if len(self.chunks.racer) >= MOST_RACES or now < self._race_after_s:
            return None
        slow = slowest(self.chunks, self.lanes.values(), self._rates, self._meter, now)
        if slow is None:
            return None
        sources = [n for n in self._open_sources(now) if self._can_race(n, slow.chunk)]
        sources.sort(key=lambda number: number == slow.source)
        if not sources:
            return None
        return self._open(sources[0], slow.chunk, slow.chunk + 1, now, race=True)

    def _can_race(self, number: int, chunk: int) -> bool:
        source = self.sources[number]
        return source.answered and source.has(chunk)

    def _close(self, number: int) -> None:
        """Forget the lane; what it had not brought is free again."""
        lane = self.lanes.pop(number)
        owners = self.chunks.racer if lane.race else self.chunks.lane
        for chunk in [chunk for chunk, owner in owners.items() if owner == number]:
            del owners[chunk]
        if lane.received_bytes:
            self._rates.append(lane.received_bytes / max(lane.heard_s - lane.opened_s, 0.001))
