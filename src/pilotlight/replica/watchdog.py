"""Finds the engine that has work in hand and makes no progress."""

from __future__ import annotations

from dataclasses import dataclass

CHECKS_PER_STALL = 4
"""Looks per `stall` interval: a stall is noticed at most a quarter of it late."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Since when nothing moved, and the engine's counter then."""

    since_s: float
    counter: int | None = None


def look(watch: Watch, now: float, *, busy: bool, byte_s: float, counter: int | None) -> Watch:
    """The next watch: restarted by idleness, a byte or a moved counter; else it keeps running.

    A whole answer may take minutes without a byte (no stream, or a long prompt),
    so silence on the wire is not a stall; silence of the engine's own counter is.
    """
    if not busy:
        return Watch(now, counter)
    if byte_s > watch.since_s:
        return Watch(byte_s, counter)
    if counter is not None and counter != watch.counter:
        return Watch(now, counter)
    return watch


def is_stalled(watch: Watch, now: float, stall_s: float) -> bool:
    return now - watch.since_s >= stall_s
