"""What a model says next at chosen places of a text, always given the text so far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """`logprob` is of the whole vocabulary's distribution, before any sampling."""

    token: int | None
    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Position:
    """`top` are the likeliest next tokens, best first; `actual` is the one that the text has."""

    top: tuple[Candidate, ...]
    actual: int
    actual_logprob: float | None


@dataclass(frozen=True, slots=True)
class Reading:
    """Of one model: for each text the places that were asked, in order."""

    model: str
    texts: tuple[tuple[Position, ...], ...]
    way: str

    @property
    def top(self) -> int:
        """As many candidates are known everywhere."""
        return min((len(one.top) for text in self.texts for one in text), default=0)


@dataclass(frozen=True, slots=True)
class Passage:
    """A text as the model's tokens, and the places in it to ask for: each is a token's index."""

    tokens: tuple[int, ...]
    places: tuple[int, ...]
