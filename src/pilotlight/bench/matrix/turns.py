"""Who is measured when: each once in a round, and nobody always first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    round: int
    contestant: int
    """Its index."""


def turns(contestants: int, rounds: int) -> Iterator[Turn]:
    """Every second round runs backwards: over two rounds a steady drift of the machine, such as
    one that warms up, adds the same to the mean of each."""
    for nth in range(rounds):
        order = range(contestants)
        for at in reversed(order) if nth % 2 else order:
            yield Turn(nth, at)
