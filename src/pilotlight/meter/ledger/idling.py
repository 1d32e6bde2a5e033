"""What nobody used, shared out among those who used the machine that day. Pure, and to the unit.

The rule. The idle joules of a UTC day are paid by that day's requests in proportion to their own
joules, its idle dollars in proportion to their own dollars of this machine, loads included. What
somebody else's engine answered took nothing here and pays for nothing here. A day in which nobody
used the machine, or in which nobody knows who used how much, stays idle by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

_Name = TypeVar("_Name")


@dataclass(frozen=True, slots=True)
class Shared(Generic[_Name]):
    """An amount in whole units: by who pays, and what is left that nobody does."""

    by: Mapping[_Name, int]
    left: int


def shared(amount: int, weights: Mapping[_Name, int]) -> Shared[_Name]:
    """`amount` in proportion to `weights`; the parts add up to it exactly.

    Units that don't divide go one each to those whose fractions are the largest, equal ones in
    the order of `weights`.
    """
    whole = sum(weights.values())
    if whole <= 0:
        return Shared({}, amount)
    parts = {name: amount * weight // whole for name, weight in weights.items()}
    fractions = {name: amount * weight % whole for name, weight in weights.items()}
    over = amount - sum(parts.values())
    for name in sorted(fractions, key=lambda name: -fractions[name])[:over]:
        parts[name] += 1
    return Shared(parts, 0)


def over_days(
    amounts: Mapping[int, int], weights: Iterable[tuple[int, _Name, int]]
) -> Shared[_Name]:
    """`amounts` by day; `weights` of a day and a name may come in several parts."""
    days: dict[int, dict[_Name, int]] = {day: {} for day in amounts}
    for day, name, weight in weights:
        if day in days and weight:
            days[day][name] = days[day].get(name, 0) + weight
    paid: dict[_Name, int] = {}
    left = 0
    for day, amount in amounts.items():
        of_day = shared(amount, days[day])
        left += of_day.left
        for name, part in of_day.by.items():
            paid[name] = paid.get(name, 0) + part
    return Shared(paid, left)
