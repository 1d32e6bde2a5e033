"""What every row of the catalog has: a name, where its figures are from, and their date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a number in a data file must keep to; a bound that is not given is none."""

    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None


Positive = Annotated[float, Bounds(above=0)]
NotNegative = Annotated[float, Bounds(at_least=0)]
Share = Annotated[float, Bounds(above=0, at_most=1)]
Count = Annotated[int, Bounds(at_least=1)]
Tally = Annotated[int, Bounds(at_least=0)]


class FieldProblem(Exception):
    """A row's own check failed: `field` isn't `expected`. The loader adds the file and line."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}")
        self.field = field
        self.expected = expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`as_of` is the day on which `source` said so, not the day the row was written."""

    name: str
    source: str
    as_of: date
    aliases: tuple[str, ...] = ()

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every name it answers to."""
        return (self.name, *self.aliases)
