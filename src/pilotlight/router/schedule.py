"""Which replica, when: pure functions of the state and the time. Each returns what it decides."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pilotlight.core import ReplicaState
from pilotlight.errors import (
    CapacityError,
    DoesNotFitError,
    HoldExceededError,
    QueueTimeoutError,
)
from pilotlight.router.decisions import (
    Adapt,
    Decision,
    Drain,
    Grant,
    Refuse,
    Resolve,
    Sleep,
    Start,
    Stop,
    Wake,
    Yield,
)
from pilotlight.router.eviction import active_until_s, choose_victims, choose_yielders
from pilotlight.router.state import ARRIVING, ModelRecord, ReplicaRecord, State, Ticket

READY, ASLEEP, DRAINING = ReplicaState.READY, ReplicaState.ASLEEP, ReplicaState.DRAINING


def eta_s(state: State, model: ModelRecord, now: float) -> float | None:
    """Seconds until the model is ready, from measured loads; None when nobody can know."""
    load_s = model.resolved.load_s if model.resolved else None
    if load_s is None:
        return None
    arriving = [r for r in state.of(model.name) if r.state in ARRIVING]
    if not arriving:
        return None
    remaining_s = load_s - (now - min(r.claimed_s for r in arriving))
    return remaining_s if remaining_s > 0 else None


def queue_eta_s(state: State, model: ModelRecord) -> float | None:
    """Seconds until a place in the queue is likely free, from the measured service time."""
    slots = sum(r.slots for r in state.of(model.name) if r.state is READY)
    if model.service_s is None or not slots:
        return None
    return model.service_s * (len(model.queue) + 1) / slots


def is_served(state: State, model: ModelRecord) -> bool:
    """Some replica of it answers requests now, busy or not."""
    return any(r.state is READY and not r.yielding for r in state.of(model.name))


def _expiry(state: State, model: ModelRecord, ticket: Ticket, now: float) -> CapacityError | None:
    if now >= ticket.arrived_s + ticket.hold_s and not is_served(state, model):
        return HoldExceededError(
            f"model {model.name!r} is still loading after {ticket.hold_s:g} s",
            retry_after_s=eta_s(state, model, now),
            hint="ask again later, or raise the model's hold",
        )
    if now >= ticket.until_s:
        waited_s = ticket.until_s - ticket.arrived_s
        return QueueTimeoutError(
            f"no slot of model {model.name!r} came free in {waited_s:g} s",
            retry_after_s=queue_eta_s(state, model),
            hint="ask again later, or raise the model's queue_timeout or its slots",
        )
    return None


def expire(state: State, now: float) -> list[Decision]:
    """Refuse whoever has waited past a bound, and everybody at a model that was given up."""
    decisions: list[Decision] = []
    for model in state.models.values():
        for ticket in model.queue:
            if model.given_up and model.failure is not None:
                decisions.append(Refuse(ticket, model.failure))
            elif error := _expiry(state, model, ticket, now):
                decisions.append(Refuse(ticket, error))
    return decisions


def grant(state: State, now: float) -> list[Decision]:
    """First come, first served, each to the replica with the fewest requests in flight."""
    decisions: list[Decision] = []
    for model in state.models.values():
        if not model.queue:
            continue
        places = sorted(
            itertools.chain.from_iterable(_places(r) for r in state.of(model.name) if r.open)
        )
        for ticket, (_, replica) in zip(model.queue, places, strict=False):
            decisions.append(Grant(ticket, replica))
    return decisions


def _places(replica: ReplicaRecord) -> Iterator[tuple[int, str]]:
    return ((load, replica.id) for load in range(len(replica.in_flight), replica.slots))


def adapt(state: State, now: float) -> list[Decision]:
    """Bring what serves to its model's present job, while it serves where its engine can."""
    return [
        Adapt(replica.id)
        for replica in state.replicas.values()
        if replica.state is READY
        and not (replica.adapting or replica.outdated)
        and replica.version < state.models[replica.model].version
    ]


def needs_replica(state: State, model: ModelRecord) -> bool:
    """One more replica of this model should come up, if it can."""
    if state.draining or model.given_up:
        return False
    living = [r for r in state.of(model.name) if r.state is not DRAINING]
    if any(r.state in ARRIVING or r.settling or r.suspect for r in living):
        return False
    awake = [r for r in living if r.state is READY]
    if any(r.outdated for r in awake):
        return True  # its successor comes up before it leaves, even past `max`
    if model.queue and not any(r.yielding for r in awake):
        return not awake or len(awake) < model.settings.max
    return len(awake) < model.settings.min and not model.held_down


def start(state: State, now: float) -> list[Decision]:
    """Bring up what is asked for, longest wait first, making room where that is allowed.

    Whoever waits for room has a claim on what is free and on what is being freed:
    a younger model takes only what is left beside that, and makes no room of its
    own, or a large model would wait for ever while small ones slip past it.
    """
    wanting = [m for m in state.models.values() if needs_replica(state, m)]
    wanting.sort(key=lambda model: model.waiting_since_s)
    decisions: list[Decision] = []
    claimed = 0
    for model in wanting:
        if now < model.retry_at_s or model.resolving:
            continue
        if model.resolved is None:
            decisions.append(Resolve(model.name))
            continue
        free = state.capacity_bytes - state.charged_bytes - claimed
        sleeper = next((r for r in state.of(model.name) if r.state is ASLEEP), None)
        need = model.resolved.ram_bytes - (sleeper.charged_bytes if sleeper else 0)
        if need <= free:
            # One at a time: room is counted anew once this is applied.
            decisions.append(
                Wake(sleeper.id) if sleeper else Start(model.name, _new_id(state, model))
            )
            break
        if old := next((r for r in state.of(model.name) if r.outdated and r.state is READY), None):
            # No room for both: what it has in hand is finished, and the queue waits.
            decisions.append(Drain(old.id, "makes room for its successor"))
            break
        if is_served(state, model):
            continue  # one more replica is a luxury: it takes free memory, nobody else's
        if not claimed:
            room = _make_room(state, model, need - free, now)
            decisions += room.decisions
            claimed = max(0, need - room.freed_bytes) or 1
    return decisions


@dataclass(frozen=True, slots=True)
class _Room:
    """How room is made for one model, and how much that frees in the end."""

    decisions: list[Decision]
    freed_bytes: int


def _make_room(state: State, model: ModelRecord, need: int, now: float) -> _Room:
    coming = sum(r.charged_bytes for r in state.replicas.values() if r.state is DRAINING)
    if need <= coming:
        return _Room([], coming)  # enough is on its way out
    if victims := choose_victims(state, need - coming, model.name, now):
        leave: list[Decision] = [Drain(r.id, f"evicted for {model.name}") for r in victims]
        return _Room(leave, coming + _bytes(victims))
    yielders = choose_yielders(state, need - coming, model.name, now)
    if not yielders:
        # What is loading now may leave later; only what never can leave makes it hopeless.
        hopeless = not any(r.state in ARRIVING or r.settling for r in state.replicas.values())
        return _Room(_refuse_all(state, model) if hopeless else [], coming)
    patient = [r for r in yielders if now >= _patience_ends(state, model, r)]
    idle = [Drain(r.id, f"evicted for {model.name}") for r in patient if r.idle]
    busy = [Yield(r.id, on=True) for r in patient if not r.idle and not r.yielding]
    return _Room([*idle, *busy], coming + _bytes(yielders))


def _bytes(replicas: Iterable[ReplicaRecord]) -> int:
    return sum(replica.charged_bytes for replica in replicas)


def _patience_ends(state: State, model: ModelRecord, replica: ReplicaRecord) -> float:
    """A queue waits `swap_patience` for a busy model, and every load serves at least that long."""
    return max(model.waiting_since_s, replica.since_s) + state.swap_patience_s


def _refuse_all(state: State, model: ModelRecord) -> list[Decision]:
    assert model.resolved is not None
    kept = sum(r.charged_bytes for r in state.replicas.values() if r.model != model.name)
    error = DoesNotFitError(
        f"model {model.name!r} needs {_gib(model.resolved.ram_bytes)} and at most "
        f"{_gib(state.capacity_bytes - kept)} of {_gib(state.capacity_bytes)} can be freed",
        hint=model.resolved.what_fits or "stop a model with min above 0, or add memory",
    )
    return [Refuse(ticket, error) for ticket in model.queue]


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"


def stem_of(model: str) -> str:
    """What a replica's id begins with: readable in `ps` and fit for a path."""
    return "".join(c if c.isalnum() else "-" for c in model)[:24].strip("-") or "model"


def _new_id(state: State, model: ModelRecord) -> str:
    stem = stem_of(model.name)
    return f"{stem}-{state.issued.get(stem, 0) + 1}"


def unyield(state: State, now: float) -> list[Decision]:
    """Nobody waits for memory any more: the replicas that made way take requests again."""
    if any(needs_replica(state, model) for model in state.models.values()):
        return []
    if any(r.state in ARRIVING for r in state.replicas.values()):
        return []
    return [Yield(r.id, on=False) for r in state.replicas.values() if r.yielding]


def _stop_at_s(model: ModelRecord, replica: ReplicaRecord) -> float:
    return replica.idle_since_s + model.keep_alive_s


def _sleep_at_s(model: ModelRecord, replica: ReplicaRecord) -> float:
    can_sleep = model.resolved is not None and model.resolved.can_sleep
    # An outdated one leaves as soon as its successor is up; asleep it would be one too many.
    if replica.state is not READY or replica.outdated or not can_sleep:
        return math.inf
    return replica.idle_since_s + model.settings.sleep_after


def retire(state: State, now: float) -> list[Decision]:
    """Idle models sleep, then go to zero; drained replicas stop."""
    decisions: list[Decision] = []
    for replica in state.replicas.values():
        due = replica.idle or now >= replica.drain_until_s
        if replica.state is DRAINING and due and not replica.leaving:
            decisions.append(Stop(replica.id))
    for model in state.models.values():
        decisions += _rest(state, model, now)
    return decisions


def _rest(state: State, model: ModelRecord, now: float) -> list[Decision]:
    """`min` replicas stay awake; the others take their rest, longest idle first."""
    if model.queue:
        return []
    idle = sorted((r for r in state.of(model.name) if _is_idle(r)), key=lambda r: r.idle_since_s)
    spare = max(0, state.awake(model.name) - model.settings.min)
    awake = [replica for replica in idle if replica.state is READY][:spare]
    asleep = [replica for replica in idle if replica.state is ASLEEP]
    decisions: list[Decision] = []
    for replica in (*asleep, *awake):
        if now >= _stop_at_s(model, replica):
            decisions.append(Drain(replica.id, "idle"))
        elif now >= _sleep_at_s(model, replica):
            decisions.append(Sleep(replica.id))
    return decisions


def _is_idle(replica: ReplicaRecord) -> bool:
    resting = replica.state in (READY, ASLEEP) and not (replica.settling or replica.adapting)
    return resting and replica.idle


def deadline_s(state: State, now: float) -> float:
    """The next moment at which time alone changes a decision; inf when there is none.

    What has come due by `now` has been decided already.
    """
    moments = itertools.chain(
        *(_model_deadlines(state, model) for model in state.models.values()),
        *(_replica_deadlines(state, replica) for replica in state.replicas.values()),
    )
    return min((moment for moment in moments if moment > now), default=math.inf)


def _model_deadlines(state: State, model: ModelRecord) -> Iterator[float]:
    served = is_served(state, model)
    for ticket in model.queue:
        yield ticket.until_s
        if not served:
            yield ticket.arrived_s + ticket.hold_s
    if (model.queue or model.settings.min) and not model.given_up and not served:
        yield model.retry_at_s
    if model.queue and not served:
        for replica in state.replicas.values():
            if replica.model != model.name and not replica.yielding:
                yield _patience_ends(state, model, replica)
                yield active_until_s(state, replica)


def _replica_deadlines(state: State, replica: ReplicaRecord) -> Iterator[float]:
    if replica.state is DRAINING and not replica.leaving:
        yield replica.drain_until_s
    elif _is_idle(replica):
        model = state.models[replica.model]
        yield _stop_at_s(model, replica)
        yield _sleep_at_s(model, replica)
