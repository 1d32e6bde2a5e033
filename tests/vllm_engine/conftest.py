from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from models.safetensors import directory
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.engines import environments
from pilotlight.engines.base import Seat
from pilotlight.engines.vllm import VllmEngine, choose
from pilotlight.fleet.local import LocalFleet
from pilotlight.machine import Gpu, Machine, survey

from .checkpoints import GIB, write_model

MACHINE = Machine("a processor", 2, 16 * GIB, (), frozenset({"avx2"}))
GPU_MACHINE = Machine(
    "a processor", 16, 128 * GIB, (Gpu(0, "A10", 24 * GIB), Gpu(1, "A10", 24 * GIB)), frozenset()
)


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], VllmEngine]:
    """The engine of an environment that is one as far as its record goes."""

    def engine(variant: str) -> VllmEngine:
        build = tmp_path / "engines" / "vllm" / "abc"
        build.mkdir(parents=True)
        record = {"name": "vllm", "version": "0.32.0", "variant": variant, "digest": "abc"}
        (build / "installed.json").write_text(json.dumps(record))
        (build.parent / "current").symlink_to("abc")
        return choose(tmp_path / "engines", GPU_MACHINE if variant == "cuda" else MACHINE)

    return engine


@pytest.fixture
def engine(make: Callable[[str], VllmEngine]) -> VllmEngine:
    return make("cpu")


@pytest.fixture
def gpu_engine(make: Callable[[str], VllmEngine]) -> VllmEngine:
    return make("cuda")


@pytest.fixture
def seat(tmp_path: Path) -> Seat:
    place = tmp_path / "seat"
    place.mkdir(mode=0o700)
    return Seat(place, place / "e.sock", "the-secret")


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    return write_model(tmp_path / "model")


@pytest.fixture(scope="session")
def engines_directory() -> Path:
    """Where engines are installed; PILOTLIGHT_ENGINES_DIRECTORY as the product reads it."""
    named = os.environ.get("PILOTLIGHT_ENGINES_DIRECTORY")
    if not named or environments.find(Path(named), "vllm") is None:
        pytest.skip("vllm isn't installed under PILOTLIGHT_ENGINES_DIRECTORY")
    return Path(named)


@pytest.fixture(scope="session")
def smol(
    engines_directory: Path, smollm: ModelFiles, tmp_path_factory: pytest.TempPathFactory
) -> ModelFiles:
    """The tests' one chat model as a directory; TEST_MODELS names where it is kept."""
    kept = os.environ.get("TEST_MODELS")
    place = Path(kept) if kept else tmp_path_factory.mktemp("directories")
    python = environments.require(engines_directory, "vllm").python
    path = directory(smollm.path, place, python)
    size_bytes = sum(file.stat().st_size for file in path.iterdir())
    return ModelFiles(ModelRef("file", str(path)), path, size_bytes)


@pytest.fixture
def real_engine(engines_directory: Path) -> VllmEngine:
    return choose(engines_directory, survey())


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[LocalFleet]:
    fleet = LocalFleet(tmp_path / "logs")
    yield fleet
    await fleet.close()
