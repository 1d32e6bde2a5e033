"""Virtual time: timers fire at their moment, in order, and only then."""

from __future__ import annotations

import asyncio
import math

from pilotlight.router.clock import Clock
from pilotlight.testing import VirtualClock, settle


def test_it_is_a_clock_of_the_router() -> None:
    clock: Clock = VirtualClock(5.0)
    assert clock.now() == 5.0


def test_timers_fire_in_order_each_at_its_own_moment() -> None:
    clock, fired = VirtualClock(0.0), []
    for when_s in (3.0, 1.0, 2.0, 9.0):
        clock.call_at(when_s, lambda: fired.append(clock.now()))
    clock.advance(3.0)
    assert fired == [1.0, 2.0, 3.0]
    assert clock.next_s == 9.0


def test_a_timer_set_by_a_timer_fires_in_the_same_advance() -> None:
    clock, fired = VirtualClock(0.0), []

    def chain() -> None:
        clock.call_at(2.0, lambda: fired.append(clock()))

    clock.call_at(1.0, chain)
    clock.advance(5.0)
    assert fired == [2.0]
    assert clock() == 5.0


def test_a_cancelled_timer_stays_silent() -> None:
    clock, fired = VirtualClock(0.0), []
    clock.call_at(1.0, lambda: fired.append(1)).cancel()
    clock.advance(2.0)
    assert fired == []
    assert clock.next_s == math.inf


async def test_tasks_run_between_timers() -> None:
    clock, woke = VirtualClock(0.0), []

    async def tick() -> None:
        for _ in range(3):
            await clock.sleep(1.0)
            woke.append(clock.now())

    task = asyncio.create_task(tick())
    await clock.run_for(10.0)
    assert woke == [1.0, 2.0, 3.0]
    assert task.done()


async def test_a_cancelled_sleep_leaves_no_timer() -> None:
    clock = VirtualClock()
    task = asyncio.create_task(clock.sleep(math.inf))
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert clock.next_s == math.inf
    clock.advance(1.0)
