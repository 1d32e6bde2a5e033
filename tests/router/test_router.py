"""The run loop around the core: one timer, which must never miss a deadline."""

from __future__ import annotations

from collections.abc import Callable

from pilotlight.config import ModelSettings
from pilotlight.replica.replica import Replica
from pilotlight.router.clock import Timer
from pilotlight.router.core import RouterCore
from pilotlight.router.decisions import Decision, Refuse
from pilotlight.router.router import Router
from pilotlight.testing import VirtualClock


class CreepingClock(VirtualClock):
    """Time passes with every look at it, and timers fire a little early, as real ones do."""

    def now(self) -> float:
        self._now_s += 0.0004
        return self._now_s

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        return super().call_at(when_s - 0.0006, callback)


class Nothing:
    """Effects that never come to anything."""

    replicas: dict[str, Replica]

    def __init__(self) -> None:
        self.replicas = {}

    def perform(self, decision: Decision) -> None:
        assert not isinstance(decision, Refuse)


async def test_a_deadline_that_passes_within_a_turn_is_not_lost() -> None:
    """A model stayed loaded for ever when its keep-alive ran out between two readings."""
    clock = CreepingClock()
    model = ModelSettings(ref="fake:m", hold=5.0)
    router = Router(RouterCore({"m": model}, capacity_bytes=1), Nothing(), clock)
    place = router.submit("m")
    await clock.run_for(6.0)
    assert place.granted.done()
    assert "still loading" in str(place.granted.exception())
    router.release(place, completed=False)
