"""What is asked of a plan: load, service level, limits. Checked once, then plain data.

A request's lengths are means over all requests; `context` is what the longest one needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from pilotlight.errors import PlanError
from pilotlight.planner.traffic import Traffic

Mode = Literal["interactive", "batch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Tokens of one request, in the mean."""

    input_tokens: int = 512
    output_tokens: int = 128

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLevel:
    """Limits that `percentile` per cent of all requests must keep; None is no limit."""

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    percentile: float = 95.0
    source: str = "asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a plan may use; an empty tuple allows everything."""

    platforms: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    quantizations: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    usd_per_month: float | None = None
    max_gpus: int = 8
    """Of one replica."""

    private: bool = False
    """Only hardware of one's own: nobody else's machine sees a prompt."""

    min_bits: float = 4.0
    """Weights' bits below which no plan goes; 3 bits loses more than a smaller model does."""

    scale_to_zero: bool = True
    concurrency: int | None = None
    """Requests worked on at once by one replica, at most; None leaves it to the search."""

    kv_type: str | None = None
    """Of keys and values, in the engine's own word; None: its default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """`traffic` says when requests come and how long they are; a batch only has to get done."""

    traffic: Traffic
    service: ServiceLevel = field(default_factory=ServiceLevel)
    mode: Mode = "interactive"
    context: int | None = None
    limits: Limits = field(default_factory=Limits)
    free_tier: bool = False
    """Whether an account's free amounts are all there for this."""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def lengths(self) -> Lengths:
        traffic = self.traffic
        return Lengths(
            input_tokens=max(1, round(traffic.input_tokens)),
            output_tokens=max(1, round(traffic.output_tokens)),
        )

    @property
    def context_tokens(self) -> int:
        """What a sequence must have room for; without a bound said, twice the mean request."""
        return self.context or max(2048, 2 * self.lengths.total_tokens)

    @property
    def requests_per_s(self) -> float:
        """That replicas are planned for: the busiest hour's; a batch may wait for a quiet one."""
        return self.traffic.mean_per_s if self.mode == "batch" else self.traffic.peak_per_s

    @property
    def output_tokens_per_month(self) -> float:
        return self.traffic.requests_per_month * self.traffic.output_tokens


def _check(asked: Requirements) -> None:
    traffic = asked.traffic
    if not (math.isfinite(traffic.peak_per_s) and traffic.peak_per_s > 0):
        raise PlanError(
            f"the load is {traffic.peak_per_s!r} requests/s: nothing to plan for",
            hint="give --rps or --users above zero; 0.01 is a request every 100 seconds",
        )
    for name, tokens in (("input", traffic.input_tokens), ("output", traffic.output_tokens)):
        if not (math.isfinite(tokens) and tokens >= 1):
            raise PlanError(
                f"{tokens!r} {name} tokens can't be", hint=f"give --{name} of 1 or more"
            )
    _check_context(asked)
    _check_service(asked.service)
    _check_limits(asked.limits)


def _check_context(asked: Requirements) -> None:
    if asked.context is not None and asked.context < asked.lengths.total_tokens:
        raise PlanError(
            f"a context of {asked.context} tokens has no room for the mean request of "
            f"{asked.lengths.total_tokens}",
            hint=f"give --context of at least {asked.lengths.total_tokens}, or shorter lengths",
        )


def _check_service(service: ServiceLevel) -> None:
    for name, limit_ms in (("ttft", service.ttft_ms), ("tpot", service.tpot_ms)):
        if limit_ms is not None and not (math.isfinite(limit_ms) and limit_ms > 0):
            raise PlanError(
                f"a {name.upper()} of {limit_ms!r} ms can't be", hint=f"give --{name} above zero"
            )
    if not 50 <= service.percentile < 100:
        raise PlanError(
            f"the percentile is {service.percentile!r}", hint="give --percentile of 50 up to 99.9"
        )


def _check_limits(limits: Limits) -> None:
    budget = limits.usd_per_month
    if budget is not None and not (math.isfinite(budget) and budget > 0):
        raise PlanError(
            f"the budget is {budget!r} dollars a month", hint="give --budget above zero"
        )
    if not (math.isfinite(limits.min_bits) and limits.min_bits > 0):
        raise PlanError(
            f"--min-bits is {limits.min_bits!r}", hint="give bits of a weight, such as 3.5"
        )
    for name, count in (("max-gpus", limits.max_gpus), ("batch", limits.concurrency)):
        if count is not None and count < 1:
            raise PlanError(f"--{name} is {count!r}", hint="give 1 or more")
