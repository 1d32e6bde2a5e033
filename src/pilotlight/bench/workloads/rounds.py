"""Texts that are there already, once through or again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from random import Random

from pilotlight.bench.ask import Ask

Talks = Sequence[tuple[Ask, ...]]
"""Single asks, and the turns of sessions: what stays together when the order changes."""


def rounds(talks: Talks, *, repeat: bool, shuffle: bool) -> Callable[[int], Iterator[Ask]]:
    """How to draw from `talks` by a seed. Each round is in an order of its own if shuffled."""

    def draw(seed: int) -> Iterator[Ask]:
        random = Random(seed)
        for number in count() if repeat else range(1):
            order = random.sample(talks, len(talks)) if shuffle else talks
            for talk in order:
                yield from talk if number == 0 else _again(talk, number)

    return draw


def size(talks: Talks, *, repeat: bool) -> int | None:
    return None if repeat else sum(map(len, talks))


def _again(talk: tuple[Ask, ...], number: int) -> Iterator[Ask]:
    """In later rounds a session is another one: its first round may still be running."""
    for ask in talk:
        yield ask if ask.session is None else replace(ask, session=f"{ask.session}#{number + 1}")
