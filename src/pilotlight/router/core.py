"""The router as a machine: an event and the time in, decisions out. No I/O, no clock of its own.

The run loop in `router.router` drives it in production; a test or a simulation
drives the very same code under a virtual clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from pilotlight.config import ModelSettings
from pilotlight.core import ReplicaState
from pilotlight.errors import (
    DrainingError,
    EngineGoneError,
    EngineUnreachableError,
    PilotlightError,
    QueueFullError,
    StoreError,
    UnknownModelError,
)
from pilotlight.router import schedule
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
    DrainBegan,
    Event,
    LoadWanted,
    ModelChanged,
    ModelResolved,
    ReplicaAdapted,
    ReplicaAsleep,
    ReplicaEnded,
    ReplicaLeaving,
    ReplicaOutdated,
    ReplicaProven,
    ReplicaReady,
    ReplicaStarted,
    ResolveFailed,
    StopWanted,
    Submitted,
    Ticked,
)
from pilotlight.router.state import ARRIVING, ModelRecord, ReplicaRecord, State

SMOOTHING = 0.2
"""Weight of the newest sample in the running means of service time and arrivals."""

LONGEST_BACKOFF_S = 30.0

DECIDERS = (
    schedule.expire,
    schedule.grant,
    schedule.adapt,
    schedule.start,
    schedule.unyield,
    schedule.retire,
)


def backoff_s(crashes: int) -> float:
    """The first restart is at once; then 1, 2, 4, … seconds."""
    return 0.0 if crashes <= 1 else min(2.0 ** (crashes - 2), LONGEST_BACKOFF_S)


def _smooth(mean: float | None, sample: float) -> float:
    return sample if mean is None else mean + SMOOTHING * (sample - mean)


class RouterCore:
    """Owns the state; `handle` is the only way to change it."""

    def __init__(
        self,
        models: Mapping[str, ModelSettings],
        *,
        capacity_bytes: int,
        swap_patience_s: float = 10.0,
        drain_s: float = 30.0,
    ) -> None:
        self.state = State(capacity_bytes, swap_patience_s, drain_s)
        for name, settings in models.items():
            self.state.models[name] = ModelRecord(
                name, settings, keep_alive_s=float(settings.keep_alive)
            )
        self._grant_times: dict[int, float] = {}
        self._on: Mapping[type[Any], Callable[[Any, float], Iterable[Decision]]] = {
            Submitted: self._submitted,
            Abandoned: self._abandoned,
            LoadWanted: self._load_wanted,
            StopWanted: self._stop_wanted,
            ModelResolved: self._resolved,
            ResolveFailed: self._resolve_failed,
            ModelChanged: self._changed,
            ReplicaStarted: self._started,
            ReplicaReady: self._ready,
            ReplicaAsleep: self._asleep,
            ReplicaProven: self._proven,
            ReplicaAdapted: self._adapted,
            ReplicaOutdated: self._outdated,
            ReplicaLeaving: self._leaving,
            ReplicaEnded: self._ended,
            DrainBegan: self._drain_began,
            Ticked: lambda event, now: (),
        }
        self._do: Mapping[type[Any], Callable[[Any, float], None]] = {
            Resolve: self._do_resolve,
            Start: self._do_start,
            Wake: self._do_wake,
            Sleep: self._do_sleep,
            Drain: self._do_drain,
            Stop: self._do_stop,
            Yield: self._do_yield,
            Probe: self._do_probe,
            Adapt: self._do_adapt,
            Grant: self._do_grant,
            Refuse: self._do_refuse,
        }

    def handle(self, event: Event, now: float) -> list[Decision]:
        """Apply `event`, decide everything that follows from it, and apply that too."""
        decisions = self._apply(self._on[type(event)](event, now), now)
        while made := self._decide(now):
            decisions += made
        return decisions

    def _decide(self, now: float) -> list[Decision]:
        """One pass of every decider, each seeing what the ones before it changed."""
        made: list[Decision] = []
        for decide in DECIDERS:
            made += self._apply(decide(self.state, now), now)
        return made

    def deadline_s(self, now: float) -> float:
        return schedule.deadline_s(self.state, now)

    def _apply(self, decisions: Iterable[Decision], now: float) -> list[Decision]:
        applied = list(decisions)
        for decision in applied:
            self._do[type(decision)](decision, now)
        return applied

    # What happened

    def _submitted(self, event: Submitted, now: float) -> Iterable[Decision]:
        ticket = event.ticket
        model = self.state.models.get(ticket.model)
        if model is None:
            return (Refuse(ticket, UnknownModelError(f"no model {ticket.model!r}")),)
        self._note_arrival(model, now)
        if refusal := self._refusal(model, now):
            return (Refuse(ticket, refusal),)
        model.held_down = False
        model.queue.append(ticket)
        return ()

    def _note_arrival(self, model: ModelRecord, now: float) -> None:
        if model.last_arrival_s is not None:
            model.interarrival_s = _smooth(model.interarrival_s, now - model.last_arrival_s)
        model.last_arrival_s = now

    def _refusal(self, model: ModelRecord, now: float) -> PilotlightError | None:
        if self.state.draining:
            return DrainingError(
                "the server is shutting down", hint="ask another one, or this one after its restart"
            )
        if model.given_up:
            return model.failure
        full = len(model.queue) >= model.settings.queue
        if full and not any(replica.open for replica in self.state.of(model.name)):
            return QueueFullError(
                f"{len(model.queue)} requests already wait for model {model.name!r}",
                retry_after_s=schedule.queue_eta_s(self.state, model)
                or schedule.eta_s(self.state, model, now),
                hint="ask again later, or raise the model's queue",
            )
        return None

    def _abandoned(self, event: Abandoned, now: float) -> Iterable[Decision]:
        ticket = event.ticket
        model = self.state.models[ticket.model]
        if event.replica is None:
            if ticket in model.queue:
                model.queue.remove(ticket)
            return ()
        granted_s = self._grant_times.pop(ticket.id, now)
        if event.completed:
            model.service_s = _smooth(model.service_s, now - granted_s)
            model.crashes = 0
            model.failure = None
        # As Ollama has it: a request without a wish of its own means the model's default.
        wish_s = event.keep_alive_s
        model.keep_alive_s = float(model.settings.keep_alive) if wish_s is None else wish_s
        replica = self.state.replicas.get(event.replica)
        if replica is not None:
            replica.in_flight.discard(ticket.id)
            replica.idle_since_s = now
            if event.broken and not replica.suspect and replica.state is ReplicaState.READY:
                return (Probe(replica.id),)
        return ()

    def _load_wanted(self, event: LoadWanted, now: float) -> Iterable[Decision]:
        model = self.state.models[event.model]
        model.given_up, model.held_down = False, False
        model.crashes, model.failure, model.retry_at_s = 0, None, -math.inf
        return ()

    def _stop_wanted(self, event: StopWanted, now: float) -> Iterable[Decision]:
        self.state.models[event.model].held_down = True
        return self._drain_all(self.state.of(event.model), "stopped by command")

    def _drain_all(self, replicas: Iterable[ReplicaRecord], reason: str) -> list[Decision]:
        return [
            Drain(r.id, reason)
            for r in replicas
            if r.state not in (ReplicaState.DRAINING, ReplicaState.STOPPED)
        ]

    def _resolved(self, event: ModelResolved, now: float) -> Iterable[Decision]:
        model = self.state.models[event.model]
        model.resolving, model.resolved, model.failure = False, event.resolved, None
        model.failed_fetches = 0
        return ()

    def _resolve_failed(self, event: ResolveFailed, now: float) -> Iterable[Decision]:
        """Whoever waits hears why; the next request tries again, `min` tries with back-off."""
        model = self.state.models[event.model]
        # What its header told before the rest failed to come is no longer to be relied on.
        model.resolving, model.resolved, model.failure = False, None, event.error
        model.failed_fetches += 1
        model.retry_at_s = now + max(1.0, backoff_s(model.failed_fetches))
        return [Refuse(ticket, event.error) for ticket in model.queue]

    def _changed(self, event: ModelChanged, now: float) -> Iterable[Decision]:
        self.state.models[event.model].version += 1
        return ()

    def _adapted(self, event: ReplicaAdapted, now: float) -> Iterable[Decision]:
        replica = self.state.replicas.get(event.replica)
        if replica is not None:
            replica.adapting = False
        return ()

    def _outdated(self, event: ReplicaOutdated, now: float) -> Iterable[Decision]:
        replica = self.state.replicas.get(event.replica)
        if replica is not None:
            replica.adapting, replica.outdated = False, True
        return ()

    def _leaving(self, event: ReplicaLeaving, now: float) -> Iterable[Decision]:
        replica = self.state.replicas.get(event.replica)
        if replica is None or replica.state is not ReplicaState.READY:
            return ()
        return (Drain(replica.id, event.reason),)

    def _started(self, event: ReplicaStarted, now: float) -> Iterable[Decision]:
        replica = self.state.replicas.get(event.replica)
        if replica is not None and replica.state is ReplicaState.STARTING:
            replica.move(ReplicaState.LOADING, now)
        return ()

    def _ready(self, event: ReplicaReady, now: float) -> Iterable[Decision]:
        replica = self.state.replicas.get(event.replica)
        if replica is None or replica.state is not ReplicaState.LOADING:
            return ()  # told to leave while it loaded
        replica.move(ReplicaState.READY, now)
        replica.idle_since_s = now
        resolved = self.state.models[replica.model].resolved
        if event.ram_bytes is not None:
            # It runs, so it fits: a peak above the capacity is charged as all of it.
            replica.ram_bytes = min(event.ram_bytes, self.state.capacity_bytes)
        if resolved is not None:
            self._remember(self.state.models[replica.model], replica, event.load_s)
        return self._relieve(replica)

    def _relieve(self, fresh: ReplicaRecord) -> Iterable[Decision]:
        """One outdated replica leaves for each that came up with its model's present job."""
        for old in self.state.of(fresh.model):
            if old.outdated and old.state is ReplicaState.READY:
                return (Drain(old.id, f"replaced by {fresh.id}"),)
        return ()

    def _remember(self, model: ModelRecord, replica: ReplicaRecord, load_s: float) -> None:
        assert model.resolved is not None
        model.resolved = replace(
            model.resolved,
            ram_bytes=replica.ram_bytes,
            load_s=_smooth(model.resolved.load_s, load_s),
        )

    def _proven(self, event: ReplicaProven, now: float) -> Iterable[Decision]:
        replica = self.state.replicas.get(event.replica)
        if replica is not None:
            replica.suspect = False
        return ()

    def _asleep(self, event: ReplicaAsleep, now: float) -> Iterable[Decision]:
        replica = self.state.replicas.get(event.replica)
        if replica is not None and replica.state is ReplicaState.ASLEEP:
            replica.settling, replica.resting = False, True
            if event.ram_bytes is not None:
                replica.asleep_bytes = event.ram_bytes
        return ()

    def _ended(self, event: ReplicaEnded, now: float) -> Iterable[Decision]:
        replica = self.state.replicas.pop(event.replica, None)
        if replica is None:
            return ()
        ordered = replica.state is ReplicaState.DRAINING
        replica.move(ReplicaState.STOPPED, now)
        model = self.state.models[replica.model]
        if isinstance(event.error, StoreError) and not ordered:
            if model.resolved is None:
                return ()  # its files didn't come, which whoever waited has heard: no crash
            model.resolved = None  # they were removed since: they are looked for anew
        if event.error is not None and not ordered:
            self._count_crash(model, event.error, now)
            if isinstance(event.error, EngineUnreachableError):
                # Nobody knows when it comes back: whoever waits hears of it now.
                return [Refuse(ticket, event.error) for ticket in model.queue]
        return ()

    def _count_crash(self, model: ModelRecord, error: PilotlightError, now: float) -> None:
        model.crashes += 1
        model.failure = error
        model.retry_at_s = now + backoff_s(model.crashes)
        # What somebody else's engine is out of reach for passes without anybody mending it here.
        lasting = not isinstance(error, EngineUnreachableError)
        if lasting and model.crashes >= model.settings.max_crashes:
            model.given_up = True
            model.failure = EngineGoneError(
                f"model {model.name!r} failed {model.crashes} times in a row and was given up: "
                f"{error.message}",
                hint=f"mend it, then `pilotlight load {model.name}`",
            )

    def _drain_began(self, event: DrainBegan, now: float) -> Iterable[Decision]:
        self.state.draining = True
        error = DrainingError("the server is shutting down", hint="ask another one")
        refusals: list[Decision] = [
            Refuse(ticket, error) for model in self.state.models.values() for ticket in model.queue
        ]
        return refusals + self._drain_all(self.state.replicas.values(), "shutting down")

    # What was decided

    def _do_resolve(self, decision: Resolve, now: float) -> None:
        self.state.models[decision.model].resolving = True

    def _do_start(self, decision: Start, now: float) -> None:
        resolved = self.state.models[decision.model].resolved
        assert resolved is not None
        replica = ReplicaRecord(
            decision.replica,
            decision.model,
            resolved.slots,
            resolved.ram_bytes,
            resolved.asleep_bytes,
            since_s=now,
            claimed_s=now,
            version=self.state.models[decision.model].version,
        )
        replica.move(ReplicaState.STARTING, now)
        stem, _, number = decision.replica.rpartition("-")
        self.state.issued[stem] = int(number)
        self.state.replicas[decision.replica] = replica

    def _do_wake(self, decision: Wake, now: float) -> None:
        replica = self.state.replicas[decision.replica]
        replica.claimed_s, replica.resting, replica.outdated = now, False, False
        replica.version = self.state.models[replica.model].version
        replica.move(ReplicaState.LOADING, now)

    def _do_sleep(self, decision: Sleep, now: float) -> None:
        replica = self.state.replicas[decision.replica]
        replica.move(ReplicaState.ASLEEP, now)
        replica.settling = True

    def _do_drain(self, decision: Drain, now: float) -> None:
        replica = self.state.replicas[decision.replica]
        if replica.state in ARRIVING:
            replica.in_flight.clear()
        replica.move(ReplicaState.DRAINING, now)
        replica.drain_until_s = now + self.state.drain_s

    def _do_stop(self, decision: Stop, now: float) -> None:
        self.state.replicas[decision.replica].leaving = True

    def _do_yield(self, decision: Yield, now: float) -> None:
        self.state.replicas[decision.replica].yielding = decision.on

    def _do_probe(self, decision: Probe, now: float) -> None:
        self.state.replicas[decision.replica].suspect = True

    def _do_adapt(self, decision: Adapt, now: float) -> None:
        replica = self.state.replicas[decision.replica]
        replica.adapting = True
        replica.version = self.state.models[replica.model].version

    def _do_grant(self, decision: Grant, now: float) -> None:
        ticket = decision.ticket
        self.state.models[ticket.model].queue.remove(ticket)
        self.state.replicas[decision.replica].in_flight.add(ticket.id)
        self._grant_times[ticket.id] = now
        self.state.models[ticket.model].last_grant_s = now

    def _do_refuse(self, decision: Refuse, now: float) -> None:
        model = self.state.models.get(decision.ticket.model)
        if model is not None and decision.ticket in model.queue:
            model.queue.remove(decision.ticket)
