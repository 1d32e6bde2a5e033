"""When a queue gets back up to a level it fell below: how often, how late, in closed form.

The number of requests in an M/M/∞ queue is a birth and death chain, and the transform of its first
passage from state to state obeys a recursion from below; see e.g. J. Keilson, "Markov Chain Models:
Rarity and Exponentiality" (1979), chapter 5. Under a large load it moves in steps of several
requests with the same drift and variance, so that the work doesn't grow with the load.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

from pilotlight.planner.cost.inversion import inversion
from pilotlight.planner.cost.poisson import at_least

FEW = 6.0
"""Standard deviations below its mean that the number of requests is never found."""


@dataclass(frozen=True, slots=True)
class Return:
    """To a level, from just below it."""

    per_s: float
    """How often it is reached from below."""

    later: float
    """Share of those times that come later than the time asked about."""

    beyond_s: float
    """By how much later in the mean, with 0 for the others."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Requests in the system, `step` at a time. `load` is their mean, a residence `residence_s`."""

    load: float
    residence_s: float
    step: int
    lowest: int

    @classmethod
    def of(cls, load: float, residence_s: float) -> Chain:
        lowest = max(0, int(load - FEW * math.sqrt(load)))
        return cls(load, residence_s, max(1, int(math.sqrt(load) / 4)), lowest)

    def rates(self, state: int) -> tuple[float, float]:
        """Steps up and down each second, with so many requests."""
        if self.step == 1:
            return self.load / self.residence_s, state / self.residence_s
        spread = (self.load + state) / (2 * self.step**2)
        drift = (self.load - state) / (2 * self.step)
        up, down = spread + drift, spread - drift
        return max(up, 0.0) / self.residence_s, max(down, 0.0) / self.residence_s

    def returns(self, levels: list[int], idle_s: float) -> list[Return]:
        """To each of `levels`, in rising order, and how they fall against `idle_s`."""
        steps = [max(1, -(-(level - self.lowest) // self.step)) for level in levels]
        means = self._means(steps[-1])
        found = [(1.0, means[at - 1]) for at in steps]
        if math.isinf(idle_s):
            found = [(0.0, 0.0) for _ in steps]
        elif idle_s > 0:
            found = self._against(steps, means, idle_s)
        return [
            Return((1 - at_least(self.load, level)) / means[at - 1], later, beyond_s)
            for level, at, (later, beyond_s) in zip(levels, steps, found, strict=True)
        ]

    def _means(self, count: int) -> list[float]:
        """Seconds from each of the lowest states to the next, in the mean."""
        up, down = self.rates(self.lowest)
        # Far below the mean the step before took about as long.
        passage = 1 / (up - down) if self.lowest else 1 / up
        found = [passage]
        for at in range(1, count):
            up, down = self.rates(self.lowest + at * self.step)
            passage = (1 + down * passage) / up
            found.append(passage)
        return found

    def _against(
        self, steps: list[int], means: list[float], idle_s: float
    ) -> list[tuple[float, float]]:
        """P(passage > idle) and E[(passage - idle)+], both by their transforms."""
        rates = [self.rates(self.lowest + at * self.step) for at in range(steps[-1])]
        later, within = [0.0] * len(steps), [0.0] * len(steps)
        for point, weight in inversion(idle_s):
            passages = _transforms(rates, bool(self.lowest), point)
            survival, sooner = weight / point, weight / point**2
            for index, at in enumerate(steps):
                rest = 1 - passages[at - 1]
                later[index] += (survival * rest).real
                within[index] += (sooner * rest).real
        return [
            (min(1.0, max(0.0, p)), min(means[at - 1], max(0.0, means[at - 1] - s)))
            for at, p, s in zip(steps, later, within, strict=True)
        ]


def _transforms(rates: list[tuple[float, float]], below: bool, point: complex) -> list[complex]:
    """At `point`, of the passages from the lowest states to the next."""
    up, down = rates[0]
    if below and down:
        # Far below the mean the step before took about as long.
        total = up + point + down
        passage = (total - cmath.sqrt(total * total - 4 * up * down)) / (2 * down)
    else:
        passage = up / (up + point)
    found = [passage]
    for up, down in rates[1:]:
        passage = up / (up + point + down * (1 - passage))
        found.append(passage)
    return found
