"""What the router knows: models, replicas and waiting tickets. Only `router.core` changes it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from pilotlight.config import ModelSettings
from pilotlight.core import ReplicaState
from pilotlight.errors import PilotlightError
from pilotlight.replica.state import can_move

LIVING = frozenset(ReplicaState) - {ReplicaState.STOPPED}
READY = ReplicaState.READY
ARRIVING = frozenset({ReplicaState.COLD, ReplicaState.STARTING, ReplicaState.LOADING})


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request waiting for a slot. `until_s` bounds the queue, `hold_s` the load."""

    id: int
    model: str
    arrived_s: float
    until_s: float
    hold_s: float


@dataclass(frozen=True, slots=True)
class Resolved:
    """What is known of a model once its files are here: what a replica of it needs and gives."""

    ram_bytes: int
    asleep_bytes: int
    slots: int
    can_sleep: bool
    load_s: float | None
    """Measured seconds of an earlier load; None until there was one."""

    what_fits: str | None = None
    """The next step when the model is larger than the machine: options that would fit."""


@dataclass(slots=True)
class ReplicaRecord:
    """One replica as the router counts it."""

    id: str
    model: str
    slots: int
    ram_bytes: int
    asleep_bytes: int
    since_s: float
    claimed_s: float = 0.0
    """When this load, cold or from sleep, was decided."""

    state: ReplicaState = ReplicaState.COLD
    settling: bool = False
    """Going to sleep: its memory is not free yet and it can't be woken yet."""

    resting: bool = False
    """Its model is out of memory, from the moment it slept until it is woken."""

    in_flight: set[int] = field(default_factory=set)
    idle_since_s: float = 0.0
    yielding: bool = False
    """Busy, but gets no more requests: another model has waited long enough for its memory."""

    suspect: bool = False
    """An answer of it broke off: no more requests until its engine was seen alive."""

    version: int = 0
    """Of its model's job: the one it serves, or is being brought to."""

    adapting: bool = False
    outdated: bool = False
    """Serves an older job than its model's, until a new replica takes its place."""

    leaving: bool = False
    """A stop was ordered; nothing more to decide about it."""

    drain_until_s: float = math.inf

    def move(self, target: ReplicaState, now: float) -> None:
        if not can_move(self.state, target):
            raise AssertionError(f"replica {self.id}: {self.state} → {target} is no move")
        self.state, self.since_s = target, now

    @property
    def idle(self) -> bool:
        return not self.in_flight

    @property
    def charged_bytes(self) -> int:
        if self.state is ReplicaState.STOPPED:
            return 0
        return self.asleep_bytes if self.resting else self.ram_bytes

    @property
    def open(self) -> bool:
        """Takes another request now."""
        return (
            self.state is ReplicaState.READY
            and not self.yielding
            and not self.suspect
            and len(self.in_flight) < self.slots
        )


@dataclass(slots=True)
class ModelRecord:
    """One served model: its policy, its queue and its history."""

    name: str
    settings: ModelSettings
    version: int = 0
    """Of its job, which changes when adapters come and go."""

    resolved: Resolved | None = None
    resolving: bool = False
    queue: deque[Ticket] = field(default_factory=deque)
    keep_alive_s: float = 0.0
    crashes: int = 0
    failed_fetches: int = 0
    retry_at_s: float = -math.inf
    failure: PilotlightError | None = None
    given_up: bool = False
    held_down: bool = False
    """Stopped by command: `min` does not bring it back until somebody asks for the model."""

    last_arrival_s: float | None = None
    interarrival_s: float | None = None
    service_s: float | None = None

    last_grant_s: float = -math.inf

    @property
    def waiting_since_s(self) -> float:
        """Since when nobody of its queue was served. Not the age of its oldest request: a busy
        model that has just made room for another would take it back at once."""
        return max(self.queue[0].arrived_s, self.last_grant_s) if self.queue else math.inf


@dataclass(slots=True)
class State:
    """All of it. `capacity_bytes` is what models may use together on this fleet."""

    capacity_bytes: int
    swap_patience_s: float
    drain_s: float
    models: dict[str, ModelRecord] = field(default_factory=dict)
    replicas: dict[str, ReplicaRecord] = field(default_factory=dict)
    draining: bool = False
    issued: dict[str, int] = field(default_factory=dict)
    """Ids given out, by stem: none is ever used again, so a late message can't mean another."""

    def of(self, model: str) -> Iterator[ReplicaRecord]:
        """The model's living replicas."""
        return (
            replica
            for replica in self.replicas.values()
            if replica.model == model and replica.state in LIVING
        )

    def awake(self, model: str) -> int:
        """Replicas of it that are ready or on their way: what `min` counts."""
        return sum(1 for r in self.of(model) if r.state in ARRIVING or r.state is READY)

    @property
    def charged_bytes(self) -> int:
        return sum(replica.charged_bytes for replica in self.replicas.values())
