"""The load generator: one timer, one loop, no task for a request that finds a connection.

Sending comes first, then stamping what arrives; making sense of answers and preparing requests
fill the time until the next one is due.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pilotlight.bench.ask import PATHS, Ask
from pilotlight.bench.generator.agenda import Agenda
from pilotlight.bench.generator.alarm import alarm
from pilotlight.bench.generator.backlog import Backlog
from pilotlight.bench.generator.exchange import Exchange
from pilotlight.bench.generator.pool import Pool
from pilotlight.bench.generator.stream import read
from pilotlight.bench.generator.visit import Turn, Visit, Visits
from pilotlight.bench.health import Pulse
from pilotlight.bench.load import Load
from pilotlight.bench.record import Record
from pilotlight.bench.target import Target

AHEAD = 512
"""Requests made before they are due."""

BEAT_S = 0.02
"""Between looks at the clock, which show how late the loop is, and at what has timed out."""

_SENT_A_TURN = 32
"""So many of those that are due go out before what has arrived is stamped in between."""

_PAUSE_S = 0.1
"""A closed loop's user comes again so long after no answer or an error: a server that is dead or
refuses ends no run in noise, and isn't drowned in it."""

_SLICE_S = 0.0003
_MARGIN_S = 0.0001
"""Before a request is due, nothing else is begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """For a live view."""

    elapsed_s: float
    sent: int
    done: int
    errors: int
    in_flight: int
    waiting: int
    """Due, but held back by `most_at_once`."""


class LoadGenerator:
    """One stage: `open`, `start`, and `close` once `finished` is done."""

    def __init__(
        self,
        target: Target,
        asks: Iterable[Ask],
        load: Load,
        *,
        on_record: Callable[[Record], None] | None = None,
        on_tick: Callable[[Progress], None] | None = None,
        tick_s: float = 0.1,
    ) -> None:
        self._target = target
        self._load = load
        self._on_tick = on_tick
        self._tick_s = tick_s
        self._heads = {kind: target.head("POST", path) for kind, path in PATHS.items()}
        self._visits = Visits(asks, target.model)
        while self._visits.prepare(AHEAD):
            pass
        self.agenda = Agenda(load, self._visits)
        self.pool = Pool(target, self._ended)
        self.pulse = Pulse()
        self.backlog = Backlog(on_record)
        self._most = load.most_at_once or math.inf
        self._held: deque[tuple[float, Visit]] = deque()
        self._in_flight: dict[Exchange, Turn] = {}
        self._sent = 0
        self._working = False
        self.stopped_s: float | None = None

    @property
    def unfinished(self) -> int:
        return len(self._in_flight) + len(self._held)

    async def open(self) -> None:
        """Connections for a closed loop's users, else one to see that somebody is there.

        Raises ServerUnreachableError.
        """
        users = (self._load.concurrency or 1) if self._load.kind == "closed" else 1
        most = math.inf if self._load.requests is None else self._load.requests
        await self.pool.open(int(min(users, most + self._load.warmup_requests)))

    def start(self) -> None:
        """The clock's 0 is now."""
        self._loop = asyncio.get_running_loop()
        self.finished: asyncio.Future[None] = self._loop.create_future()
        self._alarm = alarm(self._ring)
        self.zero_s = self.backlog.zero_s = time.perf_counter()
        self._beat_s = self.zero_s + BEAT_S
        self._tick_due_s = self.zero_s + self._tick_s
        self._ring()

    def stop(self) -> None:
        """What is in flight gets no record."""
        if not self.finished.done():
            self.stopped_s = time.perf_counter() - self.zero_s
            self.finished.set_result(None)

    async def close(self) -> None:
        """The timer and the connections; what has ended is read to the last one."""
        self._alarm.close()
        await self.pool.close()
        self.backlog.finish()

    def _ring(self) -> None:
        """Send what is due, see to the beat, and set the alarm for whichever comes next."""
        if self.finished.done():
            return
        now_s = time.perf_counter()
        try:
            self._send_due(now_s)
            if now_s >= self._beat_s:
                self._beat(now_s)
        except Exception as error:
            self._fail(error)
        else:
            self._set_alarm()
            self._work_later()

    def _fail(self, error: Exception) -> None:
        """Of the workload or a watcher: a loop would log it and go on without an end."""
        if not self.finished.done():
            self.finished.set_exception(error)

    def _set_alarm(self) -> None:
        due_s = self.zero_s + self.agenda.next_s
        self._alarm.set(min(due_s, self._beat_s))
        if due_s == math.inf and not self._in_flight and not self._held:
            self._finish()

    def _finish(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)

    def _send_due(self, now_s: float) -> None:
        agenda, zero_s = self.agenda, self.zero_s
        for _ in range(_SENT_A_TURN):
            if zero_s + agenda.next_s > now_s:
                return
            due_s, visit = agenda.take()
            now_s = time.perf_counter()
            self.pulse.lags_s.append(now_s - zero_s - due_s)
            if len(self._in_flight) >= self._most:
                self.pulse.held += 1
                self._held.append((due_s, visit))
            else:
                self._send(due_s, visit, now_s)

    def _send(self, due_s: float, visit: Visit, now_s: float) -> None:
        body = visit.body
        payload = b"%b%d\r\n\r\n%b" % (self._heads[visit.ask.kind], len(body), body)
        exchange = Exchange(payload, now_s)
        self._in_flight[exchange] = Turn(
            self._sent,
            due_s,
            visit,
            exchange,
            deadline_s=now_s + self._target.timeout_s,
            warmup=self._sent < self._load.warmup_requests,
        )
        self._sent += 1
        self.pool.send(exchange)

    def _ended(self, exchange: Exchange) -> None:
        """The pool's news; what waited for this answer goes on at once."""
        if self.finished.done():
            return
        turn = self._in_flight.pop(exchange)
        self.backlog.put(turn)
        try:
            self._go_on(turn)
        except Exception as error:
            self._fail(error)

    def _go_on(self, turn: Turn) -> None:
        ended_s = turn.exchange.ended_s - self.zero_s
        pause_s = 0.0 if turn.exchange.status == 200 else _PAUSE_S
        self.agenda.answered(turn.visit, ended_s + pause_s, _said(turn))
        if self._held:
            self._send(*self._held.popleft(), time.perf_counter())
        if self.agenda.next_s <= ended_s:
            self._send_due(time.perf_counter())
        self._set_alarm()
        self._work_later()

    def _beat(self, now_s: float) -> None:
        self.pulse.stalls_s.append(now_s - self._beat_s)
        self._beat_s = now_s + BEAT_S
        self._time_out(now_s)
        if self._on_tick is not None and now_s >= self._tick_due_s:
            self._tick_due_s = now_s + self._tick_s
            self._on_tick(self._progress(now_s))

    def _time_out(self, now_s: float) -> None:
        """All have the same patience, so the first sent is the first to lose it."""
        while self._in_flight:
            eldest = next(iter(self._in_flight.values()))
            if eldest.deadline_s > now_s:
                return
            words = f"no end in {self._target.timeout_s:g} s"
            self.pool.give_up(eldest.exchange, "timeout", words)

    def _progress(self, now_s: float) -> Progress:
        return Progress(
            elapsed_s=now_s - self.zero_s,
            sent=self._sent,
            done=len(self.backlog.records),
            errors=self.backlog.errors,
            in_flight=len(self._in_flight),
            waiting=len(self._held),
        )

    def _work_later(self) -> None:
        if not self._working:
            self._working = True
            self._loop.call_soon(self._work)

    def _work(self) -> None:
        """Read answers and prepare requests, until the next one is nearly due."""
        self._working = False
        if self.finished.done():
            return
        now_s = time.perf_counter()
        due_s = math.inf if self.backlog.is_full else self.zero_s + self.agenda.next_s - _MARGIN_S
        end_s = min(now_s + _SLICE_S, due_s)
        try:
            while now_s < end_s and (self.backlog.step() or self._visits.prepare(AHEAD)):
                now_s = time.perf_counter()
        except Exception as error:
            self._fail(error)
            return
        if end_s <= now_s < due_s:  # there is more to do, and what arrived comes in between
            self._work_later()


def _said(turn: Turn) -> str | None:
    """What the next turn follows; only a session that goes on needs it read at once."""
    if not turn.visit.left:
        return None
    found = read(turn.exchange)
    return None if found.error is not None else found.text
