"""The fake engine passes what every engine must, in memory and as a real process."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pilotlight.engines.base import EngineProcess, ModelJob
from pilotlight.fleet.base import Fleet
from pilotlight.fleet.local import LocalFleet
from pilotlight.testing import FakeEngine, FakeFleet, FakeProcess, fake_files
from pilotlight.testing.conformance import CHECKS, SOCKET_CHECKS, Check, Subject


def _kill(process: EngineProcess) -> None:
    if isinstance(process, FakeProcess):
        process.kill()
    else:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)


def _subject(fleet: Fleet) -> Subject:
    engine = FakeEngine()
    broken = engine.options({"fail_load": "the file is no model"})
    return Subject(
        engine=engine,
        fleet=fleet,
        files=fake_files("conformance"),
        given={"parallel": 2, "context": 2048, "words": 400, "token_delay_ms": 1},
        kill=_kill,
        broken=ModelJob("broken", fake_files("broken"), broken),
    )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_in_memory(check: Check) -> None:
    await check(_subject(FakeFleet()))


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalFleet]:
    fleet = LocalFleet(tmp_path / "logs")
    yield fleet
    await fleet.close()


@pytest.mark.parametrize("check", CHECKS + SOCKET_CHECKS, ids=lambda check: check.__name__)
async def test_as_a_process(check: Check, local: LocalFleet) -> None:
    await check(_subject(local))
