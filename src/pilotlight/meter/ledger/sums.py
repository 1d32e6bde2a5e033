"""Entries added up: exactly, in any order, and by whatever one asks for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

HOUR_S = 3600
DAY_HOURS = 24


class Group(NamedTuple):
    """What the ledger tells apart for good; the time by the hour (since the epoch, UTC)."""

    hour: int
    key: str
    model: str
    adapter: str
    replica: str
    source: str
    """Of the joules; empty where there are none."""

    basis: str
    """Of the dollars; empty where there are none."""


class IdleGroup(NamedTuple):
    hour: int
    source: str


@dataclass(frozen=True, slots=True)
class Sums:
    """Of some requests. Joules and dollars are those that are known of them."""

    requests: int = 0
    answered: int = 0
    cancelled: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    """As engines counted them."""

    event_prompt_tokens: int = 0
    event_tokens: int = 0
    """Of answers that were broken off: prompts where the engine had said so, and events."""

    uncounted: int = 0
    """Requests whose prompt nobody counted."""

    queue_ms: int = 0
    engine_ms: int = 0
    energy_uj: int = 0
    load_uj: int = 0
    cost_picousd: int = 0
    load_picousd: int = 0

    @property
    def output_tokens(self) -> int:
        """By whoever counted them."""
        return self.completion_tokens + self.event_tokens

    def plus(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, name) + getattr(other, name) for name in FIELDS))

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Sums:
        columns = zip(*([getattr(part, name) for name in FIELDS] for part in parts), strict=True)
        return Sums(*map(sum, columns))


FIELDS = tuple(field.name for field in fields(Sums))


@dataclass(frozen=True, slots=True)
class IdleSums:
    """Joules and dollars are those that are known; none where nobody could tell any."""

    seconds_ms: int = 0
    energy_uj: int = 0
    cost_picousd: int = 0

    def plus(self, other: IdleSums) -> IdleSums:
        return IdleSums(
            self.seconds_ms + other.seconds_ms,
            self.energy_uj + other.energy_uj,
            self.cost_picousd + other.cost_picousd,
        )


IDLE_FIELDS = tuple(field.name for field in fields(IdleSums))


@dataclass(slots=True)
class Books:
    """Sums by group; grows as lines come."""

    groups: dict[Group, Sums]
    idle: dict[IdleGroup, IdleSums]

    @classmethod
    def empty(cls) -> Self:
        return cls({}, {})

    def put(self, group: Group, sums: Sums) -> None:
        held = self.groups.get(group)
        self.groups[group] = sums if held is None else held.plus(sums)

    def put_idle(self, group: IdleGroup, sums: IdleSums) -> None:
        held = self.idle.get(group)
        self.idle[group] = sums if held is None else held.plus(sums)

    def merge(self, other: Books) -> None:
        for group, sums in other.groups.items():
            self.put(group, sums)
        for idle_group, idle_sums in other.idle.items():
            self.put_idle(idle_group, idle_sums)
