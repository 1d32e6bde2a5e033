"""What the page cache is told about the served models."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pilotlight.router.warmth import PERIOD_S, Warmth
from pilotlight.store.page_cache import Candidate, PageCache

from .asgi import turn
from .conftest import Build
from .house import Street

PLACE = Path("/dev/null")
"""Where the fake store has every model."""

MODELS: dict[str, Any] = {"asked": {"keep_alive": "200s"}, "idle": {}, "absent": {}}


async def warmth_of(street: Build) -> tuple[Street, Warmth]:
    s = await street(MODELS, absent=["absent"], store={"warm": "1MiB"})
    assert s.house.warmth is not None
    return s, s.house.warmth


async def test_models_that_are_here_are_named_with_their_chance(street: Build) -> None:
    s, warmth = await warmth_of(street)
    found = {item.name: item for item in warmth.candidates()}
    assert set(found) == {"asked", "idle"}
    assert {(item.path, item.size_bytes, item.loaded) for item in found.values()} == {
        (PLACE, 2**20, False)
    }
    assert (await s.client.chat("asked").done()).status == 200
    found = {item.name: item for item in warmth.candidates()}
    assert found["asked"].loaded
    assert found["asked"].chance > found["idle"].chance == 0.0
    await s.clock.run_for(201.0)
    found = {item.name: item for item in warmth.candidates()}
    assert not found["asked"].loaded
    assert 0.0 < found["asked"].chance < 1.0


async def test_one_that_still_arrives_is_left_alone(street: Build) -> None:
    s, warmth = await warmth_of(street)
    s.store.hold_back("absent")
    call = s.client.chat("absent")
    await s.store.reached("absent")
    assert {item.name for item in warmth.candidates()} == {"asked", "idle"}
    s.store.release("absent")
    assert (await call.done()).status == 200
    assert {item.name for item in warmth.candidates()} == {"asked", "idle", "absent"}


class Looked(PageCache):
    """Tells whom it was asked to keep, and fails the first time."""

    def __init__(self) -> None:
        super().__init__(0)
        self.names: asyncio.Queue[list[str]] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._failed = False

    def keep(self, candidates: Iterable[Candidate]) -> int:
        names = [candidate.name for candidate in candidates]
        self._loop.call_soon_threadsafe(self.names.put_nowait, names)
        if self._failed:
            return super().keep(())
        self._failed = True
        raise OSError("this disk is odd")


async def test_it_looks_each_period_whatever_went_wrong_the_last_time(
    street: Build, caplog: pytest.LogCaptureFixture
) -> None:
    s, _ = await warmth_of(street)
    cache, is_coming = Looked(), s.house.performer.arrivals.is_coming
    warmth = Warmth(s.house.catalogue, s.house.router.state, is_coming, cache, s.clock)
    warmth.begin()
    await s.clock.run_for(PERIOD_S - 1.0)
    assert cache.names.empty()
    await s.clock.run_for(1.0)
    assert await cache.names.get() == ["asked", "idle"]
    while "can't be kept warm" not in caplog.text:
        await turn()
    await turn()
    await s.clock.run_for(PERIOD_S)
    assert await cache.names.get() == ["asked", "idle"]
    await warmth.close()
    await s.clock.run_for(2 * PERIOD_S)
    assert cache.names.empty()


async def test_without_a_budget_nobody_looks(street: Build) -> None:
    s = await street(MODELS)
    assert s.house.warmth is None
