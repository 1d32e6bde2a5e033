"""Which replica, when: pure functions of the state and the time. Each returns what it decides."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from pilotlight.core import ReplicaState
from pilotlight.errors import (
    CapacityError,
    DoesNotFitError,
    HoldExceededError,
    QueueTimeoutError,
)
from pilotlight.router.decisions import (
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


def needs_replica(state: State, model: ModelRecord) -> bool:
    """One more replica of this model should come up, if it can."""
    if state.draining or model.given_up:
        return False
    living = [r for r in state.of(model.name) if r.state is not DRAINING]
    if any(r.state in ARRIVING or r.settling or r.suspect for r in living):
        return False
    awake = [r for r in living if r.state is READY]
    if model.queue and not any(r.yielding for r in awake):
        return not awake or len(awake) < model.settings.max
    return len(living) < model.settings.min and not model.held_down


def start(state: State, now: float) -> list[Decision]:
    """Bring up what is asked for, longest wait first, making room where that is allowed."""
    wanting = [m for m in state.models.values() if needs_replica(state, m)]
    wanting.sort(key=lambda model: model.oldest_s)
    decisions: list[Decision] = []
    for model in wanting:
        if now < model.retry_at_s or model.resolving:
            continue
        if model.resolved is None:
            decisions.append(Resolve(model.name))
            continue
        made = _bring_up(state, model, now)
        decisions += made
        if made:
            break  # room is counted anew once this is applied
    return decisions


def _bring_up(state: State, model: ModelRecord, now: float) -> list[Decision]:
    assert model.resolved is not None
    sleeper = next((r for r in state.of(model.name) if r.state is ASLEEP), None)
    already = sleeper.charged_bytes if sleeper else 0
    need = model.resolved.ram_bytes - already - (state.capacity_bytes - state.charged_bytes)
    if need <= 0:
        return [Wake(sleeper.id) if sleeper else Start(model.name, _new_id(state, model))]
    if is_served(state, model):
        return []  # one more replica is a luxury: it takes free memory, nobody else's
    return _make_room(state, model, need, now)


def _make_room(state: State, model: ModelRecord, need: int, now: float) -> list[Decision]:
    coming = sum(r.charged_bytes for r in state.replicas.values() if r.state is DRAINING)
    need -= coming
    if need <= 0:
        return []  # enough is on its way out
    if victims := choose_victims(state, need, model.name, now):
        return [Drain(r.id, f"evicted for {model.name}") for r in victims]
    yielders = choose_yielders(state, need, model.name, now)
    if not yielders:
        # What is loading now may leave later; only what never can leave makes it hopeless.
        hopeless = not any(r.state in ARRIVING or r.settling for r in state.replicas.values())
        return _refuse_all(state, model) if hopeless else []
    patient = [r for r in yielders if now >= _patience_ends(state, model, r)]
    idle = [Drain(r.id, f"evicted for {model.name}") for r in patient if r.idle]
    busy = [Yield(r.id, on=True) for r in patient if not r.idle and not r.yielding]
    return [*idle, *busy]


def _patience_ends(state: State, model: ModelRecord, replica: ReplicaRecord) -> float:
    """A queue waits `swap_patience` for a busy model, and every load serves at least that long."""
    return max(model.oldest_s, replica.since_s) + state.swap_patience_s


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


def _new_id(state: State, model: ModelRecord) -> str:
    """Short, unique among the living, readable in `ps` and in a path."""
    stem = "".join(c if c.isalnum() else "-" for c in model.name)[:24].strip("-")
    number = next(n for n in itertools.count(1) if f"{stem}-{n}" not in state.replicas)
    return f"{stem}-{number}"


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
    if replica.state is not READY or not (model.resolved and model.resolved.can_sleep):
        return math.inf
    return replica.idle_since_s + model.settings.sleep_after


def retire(state: State, now: float) -> list[Decision]:
    """Idle models sleep, then go to zero; drained replicas stop."""
    decisions: list[Decision] = []
    for replica in state.replicas.values():
        if replica.state is DRAINING:
            if not replica.leaving and (replica.idle or now >= replica.drain_until_s):
                decisions.append(Stop(replica.id))
        elif _is_idle_in(state, replica):
            decisions += _rest(state, replica, now)
    return decisions


def _is_idle_in(state: State, replica: ReplicaRecord) -> bool:
    resting = replica.state in (READY, ASLEEP) and not replica.settling
    return resting and replica.idle and not state.models[replica.model].queue


def _rest(state: State, replica: ReplicaRecord, now: float) -> list[Decision]:
    model = state.models[replica.model]
    living = sum(1 for r in state.of(model.name) if r.state is not DRAINING)
    if living > model.settings.min:
        if now >= _stop_at_s(model, replica):
            return [Drain(replica.id, "idle")]
        if now >= _sleep_at_s(model, replica):
            return [Sleep(replica.id)]
    return []


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
    elif _is_idle_in(state, replica):
        model = state.models[replica.model]
        yield _stop_at_s(model, replica)
        yield _sleep_at_s(model, replica)
