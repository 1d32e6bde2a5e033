"""How often one load is repeated."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.bench.numbers import Stability


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """From `least` runs up to `most`, until the figures are stable."""

    least: int = 1
    most: int = 1
    within: float = 0.05
    """Half of the throughput's interval, as a share of it, that counts as stable."""


def another(stability: Stability | None, runs: int, repeats: Repeats) -> bool:
    """Whether one more run is worth it. More runs don't mend one that isn't steady in itself."""
    if runs < repeats.least:
        return True
    if runs >= repeats.most or stability is None or stability.stable:
        return False
    return stability.verdict != "not steady"
