"""What a run asks, as a sequence that the same seed gives again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec

from pilotlight.bench.ask import Ask
from pilotlight.bench.statistics.quantiles import quantile

LOOK = 1000
"""As many requests of a workload are looked at for its summary."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Of the requests looked at, in tokens."""

    mean: float
    p50: float
    p90: float
    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSummary:
    """What a report says of a workload; two with one `digest` asked the same."""

    name: str
    description: str
    source: str | None
    seed: int
    requests: int | None
    """In all; None goes on for ever."""

    sessions: int
    """Of the requests looked at: how many conversations they belong to; 0 where there are none."""

    input_tokens: Lengths | None
    """Of what each request adds, as made or counted beforehand; None where nobody counted. The
    truth is the server's usage."""

    max_tokens: Lengths | None
    exact_output: bool
    """Every answer looked at has exactly `max_tokens` tokens where the engine can do that."""

    tokenizer: str | None
    groups: tuple[tuple[str, int], ...]
    """How many of the requests looked at are in each group."""

    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Asks in the order they are to be sent. The turns of one session follow each other.

    Everything is made beforehand or without asking anybody: `asks` may be drawn from while
    a run is measured.
    """

    name: str
    """As it was asked for, with its options: `fixed:input=512,output=128`."""

    description: str
    """One line for the report."""

    draw: Callable[[int], Iterator[Ask]]
    """The sequence of a seed, anew with each call."""

    size: int | None = None
    """How many asks; None goes on for ever."""

    source: str | None = None
    """Of data that isn't ours: whose, and under which licence."""

    tokenizer: str | None = None
    """Who counted the tokens of made texts."""

    seed: int = 0

    def asks(self, seed: int | None = None) -> Iterator[Ask]:
        """From the first one; the same seed gives the same asks, another gives other ones where
        texts are made, and another order where they aren't."""
        return self.draw(self.seed if seed is None else seed)

    def summary(self) -> WorkloadSummary:
        seen = list(islice(self.asks(), LOOK))
        groups: dict[str, int] = {}
        for ask in seen:
            groups[ask.group] = groups.get(ask.group, 0) + 1
        return WorkloadSummary(
            name=self.name,
            description=self.description,
            source=self.source,
            seed=self.seed,
            requests=self.size,
            sessions=len({ask.session for ask in seen if ask.session is not None}),
            input_tokens=_lengths([ask.input_tokens for ask in seen]),
            max_tokens=_lengths([ask.max_tokens for ask in seen]),
            exact_output=bool(seen) and all(ask.exact_output for ask in seen),
            tokenizer=self.tokenizer,
            groups=tuple(sorted((name, count) for name, count in groups.items() if name)),
            digest=_digest(seen),
        )


def _lengths(found: Sequence[int | None]) -> Lengths | None:
    known = sorted(one for one in found if one is not None)
    if not known or len(known) < len(found):
        return None
    return Lengths(
        mean=sum(known) / len(known),
        p50=quantile(known, 0.5),
        p90=quantile(known, 0.9),
        longest=known[-1],
    )


def _digest(asks: Sequence[Ask]) -> str:
    found = hashlib.sha256()
    for ask in asks:
        found.update(msgspec.json.encode(ask, order="sorted"))
    return found.hexdigest()[:16]
