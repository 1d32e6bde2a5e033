"""Rows whose figures may have moved since somebody looked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from pilotlight.catalog.catalog import Catalog
from pilotlight.catalog.kinds import Kind
from pilotlight.catalog.row import Row


@dataclass(frozen=True, slots=True)
class Stale:
    """One row past its kind's limit, or dated in the future (a negative age)."""

    kind: str
    name: str
    as_of: date
    age_days: int
    limit_days: int


def stale(catalog: Catalog, today: date) -> tuple[Stale, ...]:
    """The oldest first."""
    found = [
        judged
        for table in catalog.tables.values()
        for row in table.values()
        for judged in _judge(table.kind, row, today)
    ]
    return tuple(sorted(found, key=lambda row: -row.age_days))


def _judge(kind: Kind, row: Row, today: date) -> Iterator[Stale]:
    age_days = (today - row.as_of).days
    limit_days = kind.limit_days
    if age_days < 0 or (limit_days is not None and age_days > limit_days):
        yield Stale(kind.name, row.name, row.as_of, age_days, limit_days or 0)
