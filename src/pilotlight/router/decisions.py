"""What the router decides: data, performed by whoever holds the effects."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.errors import PilotlightError
from pilotlight.router.state import Ticket


@dataclass(frozen=True, slots=True)
class Resolve:
    """Get the model's files and predict what a replica of it needs."""

    model: str


@dataclass(frozen=True, slots=True)
class Start:
    model: str
    replica: str


@dataclass(frozen=True, slots=True)
class Wake:
    replica: str


@dataclass(frozen=True, slots=True)
class Sleep:
    replica: str


@dataclass(frozen=True, slots=True)
class Drain:
    """No more requests for this replica; stop it when those in flight are done."""

    replica: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    replica: str


@dataclass(frozen=True, slots=True)
class Yield:
    """No more requests for this replica, so that a waiting model gets its memory; or again some."""

    replica: str
    on: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """See whether a suspect replica's engine still answers."""

    replica: str


@dataclass(frozen=True, slots=True)
class Adapt:
    """Bring a serving replica to its model's job as it is now."""

    replica: str


@dataclass(frozen=True, slots=True)
class Grant:
    ticket: Ticket
    replica: str


@dataclass(frozen=True, slots=True)
class Refuse:
    ticket: Ticket
    error: PilotlightError


Decision = Resolve | Start | Wake | Sleep | Drain | Stop | Yield | Probe | Adapt | Grant | Refuse
