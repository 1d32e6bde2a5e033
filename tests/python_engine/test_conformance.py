"""A user's class passes what every engine must."""

from __future__ import annotations

import pytest

from pilotlight.engines.python.engine import PythonEngine
from pilotlight.fleet.local import LocalFleet
from pilotlight.testing.conformance import CHECKS, SOCKET_CHECKS, Check, Subject

from .conftest import files_of, job, kill


@pytest.mark.parametrize("check", CHECKS + SOCKET_CHECKS, ids=lambda check: check.__name__)
async def test_it_conforms(check: Check, fleet: LocalFleet) -> None:
    broken = job("FailsToStart")
    engine, files = PythonEngine(), files_of("Storyteller")
    await check(Subject(engine, fleet, files, {"parallel": 2}, kill, broken=broken))
