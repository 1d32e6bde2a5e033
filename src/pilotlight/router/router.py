"""The run loop: the one owner of the router's state, on the event loop's own thread.

`post` applies an event and performs what was decided before it returns, so a
request that finds a free slot is granted without a turn of the event loop.
Events posted meanwhile (an effect that fails at once) queue up behind it.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

from pilotlight.replica.replica import Replica
from pilotlight.router.clock import Clock, Timer
from pilotlight.router.core import RouterCore
from pilotlight.router.decisions import Decision, Grant, Refuse
from pilotlight.router.events import (
    Abandoned,
    DrainBegan,
    Event,
    LoadWanted,
    StopWanted,
    Submitted,
    Ticked,
)
from pilotlight.router.state import Ticket


class Effects(Protocol):
    """What decisions are performed on: real processes, or nothing at all in a simulation."""

    @property
    def replicas(self) -> dict[str, Replica]: ...

    def perform(self, decision: Decision) -> None: ...


class Place:
    """A request's place with the router: first in a queue, then on a replica."""

    __slots__ = ("granted", "replica", "ticket")

    def __init__(self, ticket: Ticket, granted: asyncio.Future[Replica]) -> None:
        self.ticket = ticket
        self.granted = granted
        self.replica: str | None = None


class Router:
    """Hands each request a replica, and keeps the fleet such that it can."""

    def __init__(self, core: RouterCore, effects: Effects, clock: Clock) -> None:
        self.core = core
        self.state = core.state
        self._effects = effects
        self._clock = clock
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Place] = {}
        self._inbox: deque[Event] = deque()
        self._turning = False
        self._timer: Timer | None = None
        self._timer_s = math.inf
        self._awaited: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def submit(self, model: str, *, hold_s: float | None = None) -> Place:
        """Ask for a slot. `place.granted` ends in a replica or an error; then `release`.

        A client that leaves earlier calls `release` too; the load it began goes on.
        """
        now = self._clock.now()
        settings = self.state.models[model].settings
        ticket = Ticket(
            id=next(self._numbers),
            model=model,
            arrived_s=now,
            until_s=now + settings.queue_timeout if hold_s is None else math.inf,
            hold_s=settings.hold if hold_s is None else hold_s,
        )
        place = Place(ticket, asyncio.get_running_loop().create_future())
        self._waiting[ticket.id] = place
        self.post(Submitted(ticket))
        return place

    def release(
        self,
        place: Place,
        *,
        completed: bool,
        broken: bool = False,
        keep_alive_s: float | None = None,
    ) -> None:
        """The request is over, however it ended. Once per place."""
        self._waiting.pop(place.ticket.id, None)
        if not place.granted.done():
            place.granted.cancel()
        elif not place.granted.cancelled():
            place.granted.exception()  # seen, even when nobody waited for it
        self.post(Abandoned(place.ticket, place.replica, completed, broken, keep_alive_s))

    def load(self, model: str) -> Place:
        """A place like any other, without a bound on the wait; also forgives past crashes."""
        self.post(LoadWanted(model))
        return self.submit(model, hold_s=math.inf)

    def stop(self, model: str) -> None:
        self.post(StopWanted(model))

    def drain(self) -> None:
        self.post(DrainBegan())

    def tick(self) -> None:
        """Look at the time: deadlines, idle models, `min` replicas not yet up."""
        self.post(Ticked())

    async def quiet(self) -> None:
        """Until no replica is left."""
        await self.until(lambda: not self.state.replicas)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Until `holds` is true of the state; looked at after every event."""
        if holds():
            return
        come = asyncio.get_running_loop().create_future()
        entry = (holds, come)
        self._awaited.append(entry)
        try:
            await come
        finally:
            self._awaited.remove(entry)

    def is_busy(self, replica: str) -> bool:
        record = self.state.replicas.get(replica)
        return record is not None and not record.idle

    def post(self, event: Event) -> None:
        self._inbox.append(event)
        if self._turning:
            return
        self._turning = True
        try:
            while self._inbox:
                now = self._clock.now()
                self._turn(self._inbox.popleft(), now)
        finally:
            self._turning = False
        self._set_timer(now)
        for holds, come in self._awaited:
            if not come.done() and holds():
                come.set_result(None)

    def _turn(self, event: Event, now: float) -> None:
        for decision in self.core.handle(event, now):
            if isinstance(decision, Grant):
                self._grant(decision)
            elif isinstance(decision, Refuse):
                self._refuse(decision)
            else:
                self._effects.perform(decision)

    def _grant(self, decision: Grant) -> None:
        place = self._waiting[decision.ticket.id]
        place.replica = decision.replica
        if not place.granted.done():  # a client that left cancelled it; its release comes next
            place.granted.set_result(self._effects.replicas[decision.replica])

    def _refuse(self, decision: Refuse) -> None:
        place = self._waiting[decision.ticket.id]
        if not place.granted.done():
            place.granted.set_exception(decision.error)

    def _set_timer(self, now: float) -> None:
        """Set it only if sooner: an early timer is harmless, it looks and sets itself anew.

        `now` is what the last turn decided by. A later reading would take a deadline
        that passed since then for one that was decided, and it would never come.
        """
        deadline_s = self.core.deadline_s(now)
        if self._timer is not None and now < self._timer_s <= deadline_s:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline_s < math.inf:
            self._timer = self._clock.call_at(deadline_s, self._on_timer)
            self._timer_s = deadline_s

    def _on_timer(self) -> None:
        self._timer = None
        self.tick()
