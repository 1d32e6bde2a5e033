"""How many lanes to have at once: as many as make it faster, found by trying."""

from __future__ import annotations

from dataclasses import dataclass

INTERVAL_S = 0.2
_LEAST_BYTES = 8 * 2**20
_LONGEST_S = 2.0
"""Bytes are counted in blocks of up to a MiB: a few of them make no rate."""

_START = 4
_GAIN = 1.08
"""A step up must bring so much more, or the link, not the number of lanes, is the limit."""

_RETRY_S = 4.0
_FADE = 0.97


@dataclass(slots=True)
class Width:
    """Doubles while that pays, then tries one more now and then; goes back where it doesn't.

    A link shared by n lanes of equals gives each 1/n, so more lanes than needed take from
    others what we don't need; and many servers bound each connection, so one is too few.
    """

    lanes: int = _START
    _before: int = 1
    _best_rate: float = 0.0
    _since_s: float = 0.0
    _bytes: int = 0
    _opening: bool = True
    _doubling: bool = True
    _next_s: float = 0.0

    def observe(self, received_bytes: int, now: float, *, full: bool) -> None:
        """`received_bytes` in all so far; `full`: as many lanes as allowed are receiving.

        After a step the measurement begins once the new lanes have been answered.
        """
        if self._opening:
            self._since_s, self._bytes, self._opening = now, received_bytes, not full
            return
        passed_s, more_bytes = now - self._since_s, received_bytes - self._bytes
        if passed_s < INTERVAL_S or (more_bytes < _LEAST_BYTES and passed_s < _LONGEST_S):
            return
        rate = more_bytes / passed_s
        self._since_s, self._bytes = now, received_bytes
        self._judge(rate, now)

    def shrink(self, live: int, now: float) -> None:
        """A lane failed while `live` others go on: no more than those, for a while."""
        self.lanes = self._before = max(1, min(self.lanes - 1, live))
        self._rest(now)

    def _judge(self, rate: float, now: float) -> None:
        gained = rate > self._best_rate * _GAIN
        self._best_rate = max(rate, self._best_rate * _FADE)
        trying = self.lanes > self._before
        if trying and not gained:
            self.lanes = self._before
            self._rest(now)
        elif gained or now >= self._next_s:
            self._before, self._opening = self.lanes, True
            self.lanes = self.lanes * 2 if self._doubling else self.lanes + 1

    def _rest(self, now: float) -> None:
        self._doubling = False
        self._next_s = now + _RETRY_S
