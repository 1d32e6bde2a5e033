"""How one replica serves, and how many there shall be: what a price needs to know of a plan."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pilotlight.catalog.billing import InstanceBilling, RequestBilling
from pilotlight.catalog.platform import Platform

_ROUNDS = 12
"""In which the batch and the time that it makes a request take settle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Of a request of mean lengths: its time in one replica alone, and in a full one.

    `capacity_per_s`: requests that a replica takes in the long run within the service level.
    """

    prefill_s: float
    decode_s: float
    full_s: float
    concurrency: int
    capacity_per_s: float

    @property
    def alone_s(self) -> float:
        return self.prefill_s + self.decode_s

    def residence_s(self, batch: float) -> float:
        """Among so many requests, itself counted; linear between one and all."""
        if self.concurrency == 1:
            return self.alone_s
        share = (min(max(batch, 1.0), self.concurrency) - 1) / (self.concurrency - 1)
        return self.alone_s + share * (max(self.full_s, self.alone_s) - self.alone_s)

    def settled_s(self, arrivals_per_s: float, replicas: float | None = None) -> float:
        """A request's time at that load, on so many replicas or on as few as hold it."""
        residence_s, before_s = self.alone_s, 0.0
        for _ in range(_ROUNDS):
            if abs(residence_s - before_s) < 1e-4 * residence_s:
                break
            load = arrivals_per_s * residence_s
            spread = replicas or max(1.0, load / self.concurrency)
            busy = spread * -math.expm1(-load / spread)
            residence_s, before_s = self.residence_s(load / busy), residence_s
        return residence_s


ScalingLabel = Literal["always-on", "standby", "to-zero"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """`minimum` replicas are always up; more start when needed and stop after `idle_s` unused.

    With `idle_s` None there are never more: with `minimum` 0 as many as the peak needs.
    """

    minimum: int = 0
    idle_s: float | None = None

    @property
    def label(self) -> ScalingLabel:
        if self.idle_s is None:
            return "always-on"
        return "standby" if self.minimum else "to-zero"


def replicas_at_peak(peak_per_s: float, capacity_per_s: float) -> int:
    return max(1, math.ceil(peak_per_s / capacity_per_s - 1e-9))


def scalings(platform: Platform) -> tuple[Scaling, ...]:
    """The ways of scaling that make sense on a platform."""
    limits = platform.limits
    if not limits.scale_to_zero:
        return (Scaling(),)
    to_zero = Scaling(idle_s=limits.idle_s)
    if isinstance(platform.billing, RequestBilling):
        ready = Scaling(minimum=1, idle_s=limits.idle_s)
        return (to_zero, ready) if platform.billing.standby else (to_zero,)
    if isinstance(platform.billing, InstanceBilling):
        return (to_zero, Scaling(minimum=1, idle_s=limits.idle_s), Scaling())
    return (to_zero, Scaling())
