"""Both timers ring once at the moment last set, in either event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
import uvloop

from pilotlight.bench.generator.alarm import Alarm, LoopTimer, TimerDescriptor, alarm

LOOPS = (asyncio.new_event_loop, uvloop.new_event_loop)


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def on_loop(request: pytest.FixtureRequest) -> Callable[[Callable[[], object]], object]:
    def play(main: Callable[[], object]) -> object:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(main())  # type: ignore[arg-type]

    return play


@pytest.mark.parametrize("kind", [TimerDescriptor, LoopTimer])
def test_it_rings_at_its_moment_and_once(
    kind: Callable[[Callable[[], None]], Alarm], on_loop: Callable[..., float]
) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        rung: list[float] = []
        done = loop.create_future()

        def ring() -> None:
            rung.append(time.perf_counter())
            loop.call_later(0.03, done.set_result, None)

        made = kind(ring)
        due_s = time.perf_counter() + 0.02
        made.set(due_s + 60)
        made.set(due_s)
        await asyncio.wait_for(done, 5)
        made.close()
        assert len(rung) == 1
        return rung[0] - due_s

    assert -0.0015 <= on_loop(main) < 0.02


@pytest.mark.parametrize("kind", [TimerDescriptor, LoopTimer])
def test_a_moment_that_has_passed_rings_at_once(
    kind: Callable[[Callable[[], None]], Alarm], on_loop: Callable[..., None]
) -> None:
    async def main() -> None:
        rung = asyncio.Event()
        made = kind(rung.set)
        made.set(0.0)
        await asyncio.wait_for(rung.wait(), 5)
        made.close()

    on_loop(main)


async def test_linux_has_the_exact_one() -> None:
    made = alarm(lambda: None)
    assert isinstance(made, TimerDescriptor)
    made.close()
