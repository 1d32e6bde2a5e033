from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from models.safetensors import directory
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.engines import environments
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
def engines_directory() -> Path:
    """Where engines are installed; PILOTLIGHT_ENGINES_DIRECTORY as the product reads it."""
    named = os.environ.get("PILOTLIGHT_ENGINES_DIRECTORY")
    if not named or environments.find(Path(named), "transformers") is None:
        pytest.skip("transformers isn't installed under PILOTLIGHT_ENGINES_DIRECTORY")
    return Path(named)


@pytest.fixture(scope="session")
def smol(
    engines_directory: Path, smollm: ModelFiles, tmp_path_factory: pytest.TempPathFactory
) -> ModelFiles:
    """The tests' one chat model as a directory; TEST_MODELS names where it is kept."""
    kept = os.environ.get("TEST_MODELS")
    place = Path(kept) if kept else tmp_path_factory.mktemp("directories")
    python = environments.require(engines_directory, "transformers").python
    path = directory(smollm.path, place, python)
    size_bytes = sum(file.stat().st_size for file in path.iterdir())
    return ModelFiles(ModelRef("file", str(path)), path, size_bytes)


@pytest.fixture
def real_engine(engines_directory: Path) -> TransformersEngine:
    return TransformersEngine(engines_directory, survey())


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[LocalFleet]:
    fleet = LocalFleet(tmp_path / "logs")
    yield fleet
    await fleet.close()
