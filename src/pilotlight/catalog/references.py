"""Rows that name other rows, and whether those are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pilotlight.catalog.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Broken:
    """The row `name` of `kind` names `value` in `field`, and `there` has no such row."""

    kind: str
    name: str
    field: str
    value: str
    there: str


_REFERENCES: Mapping[str, Mapping[str, str]] = {
    "offers": {"platform": "platforms", "cpu": "cpus", "gpu": "gpus"},
    "apis": {"model": "models"},
    "slos": {"model": "models"},
}
"""By kind and field, the kind of the rows that the field names."""


def broken(catalog: Catalog) -> Iterator[Broken]:
    for kind, names in _REFERENCES.items():
        for row in catalog.tables[kind].values():
            for field, there in names.items():
                value = getattr(row, field)
                if value is not None and value not in catalog.tables[there]:
                    yield Broken(kind, row.name, field, value, there)
