"""Time without the pauses: what passes while this environment is frozen never counts.

Between two invocations Lambda stops every process, for a moment or for an hour, and afterwards the
monotonic clock has jumped. On that clock an idle model would be unloaded by the very request that
comes for it, a stalled engine found where none had run, and an hour of nothing put on the bill.
"""

from __future__ import annotations

from collections.abc import Callable

from pilotlight.router.clock import Clock, LoopClock, Timer

EARLY_S = 0.001
"""A loop's timer may come this much too early."""


class AwakeClock:
    """`router.clock.Clock` that stands still between `pause` and `resume`.

    It is paused before Lambda is asked for the next invocation, because from then on it may freeze
    us at any instruction; a timer that comes due meanwhile, or in the turn of the event loop that
    follows a thaw, waits for `resume`.
    """

    def __init__(self, base: Clock | None = None) -> None:
        self._base = base or LoopClock()
        self._paused_s = 0.0
        self._since_s: float | None = None
        self._waiting: list[_AwakeTimer] = []

    def now(self) -> float:
        at_s = self._base.now() if self._since_s is None else self._since_s
        return at_s - self._paused_s

    def pause(self) -> None:
        if self._since_s is None:
            self._since_s = self._base.now()

    def resume(self) -> None:
        if self._since_s is None:
            return
        self._paused_s += self._base.now() - self._since_s
        self._since_s = None
        waiting, self._waiting = self._waiting, []
        for timer in waiting:
            timer.arm()

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        timer = _AwakeTimer(self, when_s, callback)
        timer.arm()
        return timer

    def arm(self, timer: _AwakeTimer) -> Timer | None:
        """Have the base call `timer`, as far as can be told now; while paused it only waits."""
        if self._since_s is not None:
            self._waiting.append(timer)
            return None
        return self._base.call_at(timer.when_s + self._paused_s, timer.due)

    @property
    def paused(self) -> bool:
        return self._since_s is not None


class _AwakeTimer:
    __slots__ = ("_callback", "_clock", "_set", "when_s")

    def __init__(self, clock: AwakeClock, when_s: float, callback: Callable[[], None]) -> None:
        self.when_s = when_s
        self._clock = clock
        self._callback: Callable[[], None] | None = callback
        self._set: Timer | None = None

    def arm(self) -> None:
        if self._callback is not None:
            self._set = self._clock.arm(self)

    def due(self) -> None:
        """It was set by what was known then; pauses since may have moved its moment."""
        early = self._clock.now() < self.when_s - EARLY_S
        if self._callback is None:
            return
        if self._clock.paused or early:
            self.arm()
            return
        self._callback()

    def cancel(self) -> None:
        self._callback = None
        if self._set is not None:
            self._set.cancel()
