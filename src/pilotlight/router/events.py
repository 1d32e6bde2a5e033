"""What happens to the router: every message that may change its state."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.errors import PilotlightError
from pilotlight.router.state import Resolved, Ticket


@dataclass(frozen=True, slots=True)
class Submitted:
    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The client left, or got its answer: its place in the queue or its slot is free."""

    ticket: Ticket
    replica: str | None
    completed: bool
    """The engine finished this request, so it is alive and well."""

    broken: bool = False
    """The engine broke off its answer: perhaps it is dead and nobody has noticed yet."""

    keep_alive_s: float | None = None
    """What the request asks the model's idle time to be from now on."""


@dataclass(frozen=True, slots=True)
class LoadWanted:
    """Asked for by command: a model that was given up or held down gets a fresh chance."""

    model: str


@dataclass(frozen=True, slots=True)
class StopWanted:
    model: str


@dataclass(frozen=True, slots=True)
class ModelResolved:
    model: str
    resolved: Resolved


@dataclass(frozen=True, slots=True)
class ResolveFailed:
    model: str
    error: PilotlightError


@dataclass(frozen=True, slots=True)
class ModelChanged:
    """Its job is another than before: replicas that run have to follow."""

    model: str


@dataclass(frozen=True, slots=True)
class ReplicaStarted:
    """Its process runs; the load has begun."""

    replica: str


@dataclass(frozen=True, slots=True)
class ReplicaReady:
    """The canary token was generated. `ram_bytes` is the measured peak, `load_s` from the claim."""

    replica: str
    ram_bytes: int | None
    load_s: float


@dataclass(frozen=True, slots=True)
class ReplicaAsleep:
    replica: str
    ram_bytes: int | None


@dataclass(frozen=True, slots=True)
class ReplicaProven:
    """A suspect replica's engine answered: it was that one answer that broke."""

    replica: str


@dataclass(frozen=True, slots=True)
class ReplicaAdapted:
    """It serves its model's job as that was when `Adapt` was decided, without a new load."""

    replica: str


@dataclass(frozen=True, slots=True)
class ReplicaOutdated:
    """Only a new replica can serve its model's job; until then it serves the one it has."""

    replica: str


@dataclass(frozen=True, slots=True)
class ReplicaLeaving:
    """Somebody else told its process to go: what it has in hand it may finish."""

    replica: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReplicaEnded:
    """Gone: as ordered when `error` is None, else crashed, stalled or failed to start."""

    replica: str
    error: PilotlightError | None


@dataclass(frozen=True, slots=True)
class DrainBegan:
    """The server is shutting down."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """A deadline the router asked for has come."""


Event = (
    Submitted
    | Abandoned
    | LoadWanted
    | StopWanted
    | ModelResolved
    | ResolveFailed
    | ModelChanged
    | ReplicaStarted
    | ReplicaReady
    | ReplicaAsleep
    | ReplicaProven
    | ReplicaAdapted
    | ReplicaOutdated
    | ReplicaLeaving
    | ReplicaEnded
    | DrainBegan
    | Ticked
)
