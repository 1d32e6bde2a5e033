"""Which lane is so slow that another had better fetch its chunk too; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pilotlight.store.transfer_state import Chunks, Lane

STALL_S = 10.0
"""Without a byte for so long a connection is as good as dead."""

_SLOW = 2.0
_AFTER_S = 0.5
_WINDOW_S = 1.0
_SPARE = 0.5
_FADE = 0.98


@dataclass(slots=True)
class Meter:
    """How busy the line is, by what it has carried before.

    On a full line a race only takes from the lane it is to help, and all its bytes are waste.
    """

    _rate: float = 0.0
    _best_rate: float = 0.0
    _since_s: float | None = None
    _bytes: int = 0

    @property
    def spare(self) -> bool:
        return self._rate < _SPARE * self._best_rate

    def observe(self, received_bytes: int, now: float) -> None:
        if self._since_s is None:
            self._since_s, self._bytes = now, received_bytes
        passed_s = now - self._since_s
        if passed_s >= _WINDOW_S:
            self._rate = (received_bytes - self._bytes) / passed_s
            self._best_rate = max(self._rate, self._best_rate * _FADE)
            self._since_s, self._bytes = now, received_bytes


def slowest(
    chunks: Chunks, lanes: Iterable[Lane], rates: Iterable[float], meter: Meter, now: float
) -> Lane | None:
    """The lane whose chunk takes over twice as long as another lane would for it, while the line
    has room for another.

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
    if usual is None or not meter.spare:
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
