"""Which replicas leave memory for another model: a pure choice."""

from __future__ import annotations

import math

from pilotlight.core import ReplicaState
from pilotlight.router.state import ModelRecord, ReplicaRecord, State

UNKNOWN_LOAD_S_PER_BYTE = 1 / 500e6
"""Reload cost of a model never loaded here: a slow disk's 500 MB/s."""

HORIZON_S = 300.0
"""How far ahead a likely reuse counts."""


def reload_s(state: State, replica: ReplicaRecord) -> float:
    resolved = state.models[replica.model].resolved
    if resolved is not None and resolved.load_s is not None:
        return resolved.load_s
    return replica.ram_bytes * UNKNOWN_LOAD_S_PER_BYTE


def reuse_probability(model: ModelRecord, now: float) -> float:
    """Chance of a request within the horizon, if arrivals are Poisson at the rate seen.

    The silence so far bounds the rate too: a model that was busy an hour ago is not busy now.
    """
    if model.last_arrival_s is None:
        return 0.0
    gap_s = max(model.interarrival_s or 0.0, now - model.last_arrival_s, 1e-3)
    return 1 - math.exp(-HORIZON_S / gap_s)


def loss_per_byte(state: State, replica: ReplicaRecord, now: float) -> float:
    """Seconds of reload expected to be paid for each byte freed."""
    model = state.models[replica.model]
    return reload_s(state, replica) * reuse_probability(model, now) / max(replica.charged_bytes, 1)


def active_until_s(state: State, replica: ReplicaRecord) -> float:
    """Until when an idle replica counts as busy: between requests that come thick and fast.

    A model whose next request is likely sooner than its reload would only be
    swapped back; it keeps its turn as if it were busy. Asleep ones keep nothing.
    """
    model = state.models[replica.model]
    gap_s = model.interarrival_s
    if gap_s is None or model.last_arrival_s is None or replica.resting:
        return -math.inf
    if gap_s >= reload_s(state, replica):
        return -math.inf
    return model.last_arrival_s + 2 * gap_s


def _spare_replicas(state: State, for_model: str, now: float) -> list[ReplicaRecord]:
    """Other models' replicas, cheapest loss per byte first; `min` awake ones of each stay."""
    found: list[ReplicaRecord] = []
    for model in state.models.values():
        if model.name == for_model:
            continue
        found += [r for r in state.of(model.name) if r.state is ReplicaState.ASLEEP and r.resting]
        awake = [r for r in state.of(model.name) if r.state is ReplicaState.READY]
        awake.sort(key=lambda r: (not r.idle, loss_per_byte(state, r, now), r.id))
        found += awake[: max(0, state.awake(model.name) - model.settings.min)]
    return sorted(found, key=lambda r: (not r.idle, loss_per_byte(state, r, now), r.id))


def choose_victims(
    state: State, need_bytes: int, for_model: str, now: float
) -> tuple[ReplicaRecord, ...]:
    """The idle replicas whose leaving frees `need_bytes` at the least expected loss.

    Cheapest per byte first; then whoever turned out not to be needed stays.
    Empty when even all of them together don't free enough.
    """
    candidates = [
        replica
        for replica in _spare_replicas(state, for_model, now)
        if replica.idle and now >= active_until_s(state, replica)
    ]
    return fewest(candidates, need_bytes)


def choose_yielders(
    state: State, need_bytes: int, for_model: str, now: float
) -> tuple[ReplicaRecord, ...]:
    """The same with busy and active ones too, idle ones first; empty when nothing would do."""
    return fewest(_spare_replicas(state, for_model, now), need_bytes)


def fewest(candidates: list[ReplicaRecord], need_bytes: int) -> tuple[ReplicaRecord, ...]:
    """From candidates in order of preference, enough of them and none too many."""
    chosen: list[ReplicaRecord] = []
    freed = 0
    for replica in candidates:
        if freed >= need_bytes:
            break
        chosen.append(replica)
        freed += replica.charged_bytes
    if freed < need_bytes:
        return ()
    for replica in sorted(chosen, key=lambda item: item.charged_bytes):
        if freed - replica.charged_bytes >= need_bytes:
            chosen.remove(replica)
            freed -= replica.charged_bytes
    return tuple(chosen)
