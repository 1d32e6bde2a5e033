from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from installed import Installed
from pilotlight.engines.transformers import TransformersEngine
from pilotlight.fleet.local import LocalFleet
from pilotlight.machine import Gpu, Machine, survey

from .checkpoints import GIB


@pytest.fixture
def machine() -> Machine:
    return Machine("a processor", 2, 16 * GIB, (), frozenset({"avx2"}))


@pytest.fixture
def gpu_machine() -> Machine:
    gpus = (Gpu(0, "A10", 24 * GIB), Gpu(1, "A10", 24 * GIB))
    return Machine("a processor", 16, 128 * GIB, gpus, frozenset({"avx2"}))


@pytest.fixture
def engine(machine: Machine, tmp_path: Path) -> TransformersEngine:
    return TransformersEngine(tmp_path / "engines", machine)


@pytest.fixture(scope="session")
def engines_directory(installed: Installed) -> Path:
    return installed.having("transformers")


@pytest.fixture
def real_engine(engines_directory: Path) -> TransformersEngine:
    return TransformersEngine(engines_directory, survey())


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[LocalFleet]:
    fleet = LocalFleet(tmp_path / "logs")
    yield fleet
    await fleet.close()
