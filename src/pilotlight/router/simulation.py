"""Traffic in virtual time through the production router: the same code, no processes, no waiting.

Loads, stops and requests take the seconds they are told to; everything the
router decides is performed at once on a heap of future events.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pilotlight.errors import PilotlightError
from pilotlight.router.core import RouterCore
from pilotlight.router.decisions import (
    Adapt,
    Decision,
    Drain,
    Grant,
    Probe,
    Refuse,
    Resolve,
    Sleep,
    Start,
    Stop,
    Wake,
    Yield,
)
from pilotlight.router.events import (
    Abandoned,
    Event,
    ModelResolved,
    ReplicaAsleep,
    ReplicaEnded,
    ReplicaOutdated,
    ReplicaProven,
    ReplicaReady,
    ReplicaStarted,
    Submitted,
    Ticked,
)
from pilotlight.router.state import Resolved, Ticket


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How one model acts in the simulation; seconds and bytes."""

    ram_bytes: int
    slots: int = 1
    load_s: float = 1.0
    wake_s: float = 0.5
    stop_s: float = 0.1
    service_s: float = 1.0
    can_sleep: bool = False
    asleep_bytes: int = 0

    def resolved(self) -> Resolved:
        return Resolved(self.ram_bytes, self.asleep_bytes, self.slots, self.can_sleep, self.load_s)


@dataclass(slots=True)
class Outcome:
    """What became of one request."""

    model: str
    arrived_s: float
    granted_s: float | None = None
    done_s: float | None = None
    error: PilotlightError | None = None

    @property
    def waited_s(self) -> float | None:
        return None if self.granted_s is None else self.granted_s - self.arrived_s


@dataclass(slots=True)
class Simulation:
    """Owns the clock. `submit` before `run`; `watch` sees the state after every event."""

    core: RouterCore
    behaviours: Mapping[str, Behaviour]
    watch: Callable[[RouterCore, float], None] = lambda core, now: None
    now_s: float = 0.0
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    log: list[tuple[float, Decision]] = field(default_factory=list)
    _heap: list[tuple[float, int, Event]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)
    _places: dict[int, str] = field(default_factory=dict)

    def at(self, when_s: float, event: Event) -> None:
        heapq.heappush(self._heap, (when_s, next(self._order), event))

    def submit(self, when_s: float, model: str) -> Outcome:
        number = len(self.outcomes)
        settings = self.core.state.models[model].settings
        until_s = when_s + settings.queue_timeout
        ticket = Ticket(number, model, when_s, until_s, settings.hold)
        outcome = self.outcomes[number] = Outcome(model, when_s)
        self.at(when_s, Submitted(ticket))
        return outcome

    def run(self, until_s: float) -> None:
        """Let everything happen that is due by `until_s`."""
        while True:
            due_s = self._heap[0][0] if self._heap else until_s
            deadline_s = self.core.deadline_s(self.now_s)
            if min(due_s, deadline_s) >= until_s:
                self.now_s = until_s
                return
            if deadline_s < due_s:
                self.now_s = deadline_s
                self._step(Ticked())
            else:
                self.now_s, _, event = heapq.heappop(self._heap)
                self._step(event)

    def _step(self, event: Event) -> None:
        for decision in self.core.handle(event, self.now_s):
            self.log.append((self.now_s, decision))
            _PERFORM[type(decision)](self, decision)
        self.watch(self.core, self.now_s)

    def _behaviour(self, replica: str) -> Behaviour:
        return self.behaviours[self.core.state.replicas[replica].model]

    def _resolve(self, decision: Resolve) -> None:
        resolved = self.behaviours[decision.model].resolved()
        self.at(self.now_s, ModelResolved(decision.model, resolved))

    def _start(self, decision: Start) -> None:
        load_s = self.behaviours[decision.model].load_s
        self.at(self.now_s, ReplicaStarted(decision.replica))
        self.at(self.now_s + load_s, ReplicaReady(decision.replica, None, load_s))

    def _wake(self, decision: Wake) -> None:
        wake_s = self._behaviour(decision.replica).wake_s
        self.at(self.now_s + wake_s, ReplicaReady(decision.replica, None, wake_s))

    def _sleep(self, decision: Sleep) -> None:
        self.at(self.now_s, ReplicaAsleep(decision.replica, None))

    def _stop(self, decision: Stop) -> None:
        stop_s = self._behaviour(decision.replica).stop_s
        self.at(self.now_s + stop_s, ReplicaEnded(decision.replica, None))

    def _probe(self, decision: Probe) -> None:
        self.at(self.now_s, ReplicaProven(decision.replica))

    def _adapt(self, decision: Adapt) -> None:
        self.at(self.now_s, ReplicaOutdated(decision.replica))

    def _grant(self, decision: Grant) -> None:
        ticket = decision.ticket
        outcome = self.outcomes[ticket.id]
        outcome.granted_s = self.now_s
        outcome.done_s = self.now_s + self.behaviours[ticket.model].service_s
        self.at(outcome.done_s, Abandoned(ticket, decision.replica, completed=True))

    def _refuse(self, decision: Refuse) -> None:
        self.outcomes[decision.ticket.id].error = decision.error
        self.at(self.now_s, Abandoned(decision.ticket, None, completed=False))


def _nothing(simulation: Simulation, decision: Decision) -> None:
    """Draining and yielding are states; nothing happens outside."""


_PERFORM: Mapping[type[Any], Callable[[Simulation, Any], None]] = {
    Resolve: Simulation._resolve,
    Start: Simulation._start,
    Wake: Simulation._wake,
    Sleep: Simulation._sleep,
    Stop: Simulation._stop,
    Drain: _nothing,
    Yield: _nothing,
    Probe: Simulation._probe,
    Adapt: Simulation._adapt,
    Grant: Simulation._grant,
    Refuse: Simulation._refuse,
}
