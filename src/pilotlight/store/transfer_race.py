"""Which lane is so slow that another had better fetch its chunk too; pure."""

from __future__ import annotations

from collections.abc import Iterable

from pilotlight.store.transfer_state import Chunks, Lane

STALL_S = 10.0
"""Without a byte for so long a connection is as good as dead."""

_SLOW = 2.0
_AFTER_S = 0.5


def slowest(
    chunks: Chunks, lanes: Iterable[Lane], rates: Iterable[float], now: float
) -> Lane | None:
    """The lane whose chunk takes over twice as long as another lane would for it.

    `rates` are of lanes that ended, in bytes a second.
    """
    writers = [lane for lane in lanes if not lane.race]
    raceable = [lane for lane in writers if _raceable(chunks, lane)]
    if not raceable:
        return None
    slow = max(raceable, key=lambda lane: _left_s(chunks, lane, now))
    if now - slow.heard_s > STALL_S:
        return slow
    usual = _usual_bytes_per_s([*rates, *(lane.bytes_per_s(now) for lane in writers)])
    if usual is None:
        return None
    fast_s = chunks.left_bytes(slow.chunk) / usual
    return slow if _left_s(chunks, slow, now) > _SLOW * fast_s + _AFTER_S else None


def _raceable(chunks: Chunks, lane: Lane) -> bool:
    """In a chunk, not past its run, and nobody races it yet; of a known size."""
    known = chunks.count is not None
    return known and lane.chunk in chunks.lane and lane.chunk not in chunks.racer


def _left_s(chunks: Chunks, lane: Lane, now: float) -> float:
    rate = lane.bytes_per_s(now)
    return chunks.left_bytes(lane.chunk) / rate if rate else now - lane.opened_s


def _usual_bytes_per_s(rates: list[float]) -> float | None:
    """The median, when there is anything to compare with."""
    return (sorted(rates)[len(rates) // 2] or None) if len(rates) > 1 else None
