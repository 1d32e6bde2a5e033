"""The least that KL(reference ‖ subject) can be, from the likeliest tokens that each side tells.

Of a token that only the reference tells, the subject's probability isn't known, but it is no more
than the least that the subject told, and all of those together have no more than what it left
untold. Whatever is possible within that, the divergence is at least what comes out where the
unknown is spread in the reference's own proportions: they are as near as they can be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Told = Mapping[int | str, float]
"""Probabilities by token."""

LEAST = 1e-9
"""Below this a rest of probability is the rounding of what was told."""


def least_kl_nats(reference: Told, subject: Told) -> tuple[float, float]:
    """The bound, and the reference's probability of tokens that the subject doesn't tell.

    Equal to the divergence itself where both tell the whole vocabulary.
    """
    both = sorted(reference.keys() & subject.keys(), key=str)
    nats = math.fsum(reference[one] * math.log(reference[one] / subject[one]) for one in both)
    alone = sorted((p for one, p in reference.items() if one not in subject), reverse=True)
    rest = max(0.0, 1.0 - math.fsum(reference.values()))
    untold = max(LEAST, 1.0 - math.fsum(subject.values()))
    left = max(LEAST, 1.0 - math.fsum(subject[one] for one in both))
    most = min(subject.values())
    shares = _spread(alone, rest, left, most)
    if math.fsum(shares) > untold:
        shares = _spread(alone, 0.0, untold, most)
    nats += math.fsum(p * math.log(p / q) for p, q in zip(alone, shares, strict=True))
    if rest > LEAST:
        nats += rest * math.log(rest / max(LEAST, left - math.fsum(shares)))
    return max(0.0, nats), math.fsum(alone) + rest


def _spread(weights: Sequence[float], rest: float, mass: float, most: float) -> list[float]:
    """`mass` over `weights` (the largest first) and `rest` in proportion, but none over `most`."""
    left, over = mass, math.fsum(weights) + rest
    for weight in weights:
        if weight * left <= most * over:
            break
        left, over = left - most, over - weight
    ratio = max(LEAST, left) / over if over > 0 else 0.0
    return [max(LEAST**2, min(most, weight * ratio)) for weight in weights]
