"""Who is beaten by nobody: cost against latency, or any two figures of which less is better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

_T = TypeVar("_T")


def front(
    items: Sequence[_T], first: Callable[[_T], float], second: Callable[[_T], float]
) -> tuple[_T, ...]:
    """Those that no other equals in both and beats in one, from the least `first` on.

    Of equals in both the earliest stays. n log n: sorted by `first`, only a new least
    `second` belongs to the front.
    """
    ordered = sorted(items, key=lambda item: (first(item), second(item)))
    kept: list[_T] = []
    for item in ordered:
        if not kept or second(item) < second(kept[-1]):
            kept.append(item)
    return tuple(kept)
