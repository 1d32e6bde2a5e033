"""What is asked in a trial, and what it can't judge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pilotlight.bench.ask import Ask
from pilotlight.bench.workloads.workload import Workload

REPEATING = frozenset({"builtin"})
"""Kinds whose few prompts come again and again, as no user's do."""

UNLIKE = frozenset({"fixed", "distributed"})
"""Kinds whose prompts have nothing in common."""

MADE = UNLIKE | {"shared-prefix", "sessions", "trace", "sample"}
"""Kinds whose words nobody wrote."""


def unjudged(kind: str) -> frozenset[str]:
    """Axes on which the workload's word is worth nothing.

    Nothing is to be had of a prompt cache where nothing repeats, and guessing ahead by the words
    before finds in made-up text what it wouldn't in a person's.
    """
    cache = {"prefix_cache"} if kind in REPEATING | UNLIKE else set()
    guesses = {"speculative"} if kind in MADE else set()
    return frozenset(cache | guesses)


def unrepeated(workload: Workload, kind: str) -> Workload:
    """Each prompt with a number in front where they repeat: an engine with many slots, or with a
    large cache, would know them all after a while and look faster than it is."""
    if kind not in REPEATING:
        return workload

    def draw(seed: int) -> Iterator[Ask]:
        for index, ask in enumerate(workload.draw(seed)):
            yield replace(ask, content=f"({seed}.{index}) {ask.content}")

    return replace(workload, draw=draw)
