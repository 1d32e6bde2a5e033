"""Two readings of the same places: how often they agree, and how far apart they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pilotlight.bench.figures import Estimate
from pilotlight.bench.quality_facts import Divergence
from pilotlight.quality.bound import LEAST, Told, least_kl_nats
from pilotlight.quality.intervals import mean_over_texts
from pilotlight.quality.reading import Candidate, Position, Reading

Key = Callable[[Candidate], int | str]


def agreement(reference: Reading, subject: Reading) -> Estimate:
    """Share of places where both have the same likeliest token."""
    key = _key(reference, subject)
    return mean_over_texts([
        [float(key(one.top[0]) == key(other.top[0])) for one, other in pairs]
        for pairs in _pairs(reference, subject)
    ])  # fmt: skip


def divergence(reference: Reading, subject: Reading) -> Divergence:
    key = _key(reference, subject)
    found = [
        [least_kl_nats(_told(one, key), _told(other, key)) for one, other in pairs]
        for pairs in _pairs(reference, subject)
    ]
    all_nats = sorted(nats for text in found for nats, _ in text)
    unseen = [rest for text in found for _, rest in text]
    return Divergence(
        nats=mean_over_texts([[nats for nats, _ in text] for text in found]),
        p99_nats=all_nats[min(len(all_nats) - 1, math.ceil(0.99 * len(all_nats)) - 1)],
        top=min(reference.top, subject.top),
        unseen=math.fsum(unseen) / len(unseen),
    )


def perplexity(reading: Reading) -> Estimate | None:
    """Of the text's own tokens; None where the server didn't tell all of their probabilities."""
    losses = _losses(reading)
    return None if losses is None else mean_over_texts(losses, math.exp)


def perplexity_ratio(reference: Reading, subject: Reading) -> Estimate | None:
    """Far surer than two perplexities side by side: both are high on the same texts."""
    one, other = _losses(reference), _losses(subject)
    if one is None or other is None:
        return None
    pairs = (zip(mine, theirs, strict=True) for mine, theirs in zip(other, one, strict=True))
    return mean_over_texts([[mine - theirs for mine, theirs in text] for text in pairs], math.exp)


def _losses(reading: Reading) -> list[list[float]] | None:
    told = [[one.actual_logprob for one in text] for text in reading.texts]
    losses = [[-one for one in text if one is not None] for text in told]
    return losses if sum(map(len, told)) == sum(map(len, losses)) else None


def _key(reference: Reading, subject: Reading) -> Key:
    """Ids where both have them; texts else, which tokens of broken characters may share."""
    tops = (one.top for side in (reference, subject) for text in side.texts for one in text)
    if all(candidate.token is not None for top in tops for candidate in top):
        return lambda candidate: candidate.token if candidate.token is not None else ""
    return lambda candidate: candidate.text


def _pairs(reference: Reading, subject: Reading) -> Sequence[Sequence[tuple[Position, Position]]]:
    sides = zip(reference.texts, subject.texts, strict=True)
    return [list(zip(one, other, strict=True)) for one, other in sides]


def _told(position: Position, key: Key) -> Told:
    found: dict[int | str, float] = {}
    for candidate in position.top:
        name = key(candidate)
        # Nothing has no probability at all; what is told as 0 is just very small.
        found[name] = found.get(name, 0.0) + max(LEAST**2, math.exp(candidate.logprob))
    return found
