"""The highest rate at which enough requests keep the service level: bracket, bisect, confirm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Purpose = Literal["bracket", "bisect", "confirm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Rates in requests a second."""

    start: float
    least: float = 0.01
    most: float = 10_000.0
    resolution: float = 0.1
    """Ends when the lowest rate that failed is at most this share above the highest that held."""

    probes: int = 16
    """Measurements at most, confirmations among them."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One measurement: whether the service level held at `rate`."""

    rate: float
    held: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """Measure this next."""

    rate: float
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Found:
    """The highest rate that held each time it was tried; None where none did."""

    rate: float | None
    failed_at: float | None
    """The lowest rate above it that didn't hold; None where none was found."""

    why: str


def decide(seen: Sequence[Seen], search: Search) -> Probe | Found:
    """A rate that was tried several times held only if it did so each time.

    Where a higher rate holds and a lower one doesn't, that is noise, and the lower one counts:
    a promise has to hold at every rate below it too.
    """
    if not seen:
        return Probe(significant(search.start), "bracket")
    failed = min((one.rate for one in seen if not one.held), default=None)
    held = max(_below(seen, failed), default=None)
    if len(seen) >= search.probes:
        return Found(held, failed, f"stopped after {len(seen)} measurements")
    return _within(held, failed, search) or _confirmed(seen, held, failed)


def _below(seen: Sequence[Seen], failed: float | None) -> Iterable[float]:
    return (one.rate for one in seen if one.held and (failed is None or one.rate < failed))


def _within(held: float | None, failed: float | None, search: Search) -> Probe | Found | None:
    """The next step of bracket or bisection; None when both ends are near enough."""
    if held is None:
        lower = significant((failed or search.start) / 2)
        if lower < search.least:
            return Found(None, failed, f"not even {failed or search.least:g} requests/s hold")
        return Probe(lower, "bracket")
    if failed is None:
        return (
            Probe(min(significant(held * 2), search.most), "bracket")
            if (held < search.most)
            else None
        )
    middle = significant(math.sqrt(held * failed))
    near = failed <= held * (1 + search.resolution) or middle in (held, failed)
    return None if near else Probe(middle, "bisect")


def _confirmed(seen: Sequence[Seen], held: float | None, failed: float | None) -> Probe | Found:
    tries = sum(one.rate == held for one in seen)
    if held is not None and tries < 2:
        return Probe(held, "confirm")
    beyond = "no higher rate was asked for" if failed is None else f"{failed:g}/s doesn't hold"
    return Found(held, failed, f"{held:g}/s held {tries} times, {beyond}")


def significant(rate: float) -> float:
    """To three digits, so that a rate is the same number wherever it is met again."""
    return float(f"{rate:.3g}")
