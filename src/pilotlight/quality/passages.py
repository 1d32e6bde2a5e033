"""The texts that models are compared on, and the places in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random

from pilotlight.bench.target import Target
from pilotlight.bench.tokens.served import starting_tokens
from pilotlight.bench.workloads.registry import prepare
from pilotlight.errors import BenchError
from pilotlight.quality.reading import Passage

WINDOW_TOKENS = 256
"""A longer text is read in pieces of this: more of them are more independent of each other."""

EVERY_TOKENS = 4
"""Places are no further apart: the tokens between them cost a reading and tell nothing."""

OPENING_TOKENS = 8
"""The first of a piece aren't asked for: without a text before them there is little to agree on."""


async def built_in() -> tuple[str, ...]:
    """Our 50 prompts, as text."""
    workload = await prepare("builtin:repeat=no")
    return tuple(str(ask.content) for ask in islice(workload.asks(), 50))


def from_file(path: Path) -> tuple[str, ...]:
    """A text file as one text.

    Raises:
        BenchError: it can't be read, or has nothing in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"can't read {str(path)!r}: {error}", hint="give a text file") from None
    if not text.strip():
        raise BenchError(f"{str(path)!r} has no text in it", hint="give a text of some pages")
    return (text,)


async def passages(
    target: Target, tokens: Sequence[Sequence[int]], positions: int
) -> tuple[Passage, ...]:
    """About `positions` places, spread evenly over texts that are the model's `tokens`.

    Raises:
        BenchError: the texts are too short.
        ServerError: the server can't be asked what the model has before every text.
    """
    start = tuple(await starting_tokens(target))
    pieces = [
        tuple(one[at : at + WINDOW_TOKENS])
        for one in tokens
        for at in range(0, len(one), WINDOW_TOKENS)
        if len(one) - at > OPENING_TOKENS
    ]
    there = sum(len(piece) - OPENING_TOKENS for piece in pieces)
    if not there:
        raise BenchError(
            f"the text has {sum(map(len, tokens))} tokens, too few to compare models on",
            hint=f"give one of more than {WINDOW_TOKENS}",
        )
    every = min(EVERY_TOKENS, max(1, there // positions))
    return tuple(_spread(start, _some(pieces, positions * every), every))


def _some(pieces: Sequence[tuple[int, ...]], tokens: int) -> Iterator[tuple[int, ...]]:
    """From all over, until they have so many: what isn't asked about isn't read either."""
    for piece in Random(0).sample(pieces, len(pieces)):
        if tokens > 0:
            yield piece
        tokens -= len(piece) - OPENING_TOKENS


def _spread(
    start: tuple[int, ...], pieces: Iterable[tuple[int, ...]], every: int
) -> Iterator[Passage]:
    """Every so-manyeth place; the count runs on from piece to piece, for the sake of short ones."""
    seen = 0
    for piece in pieces:
        places = range(OPENING_TOKENS, len(piece))
        chosen = [at for number, at in enumerate(places, seen) if number % every == 0]
        seen += len(places)
        if chosen:
            yield Passage(start + piece, tuple(len(start) + at for at in chosen))
