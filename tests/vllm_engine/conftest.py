from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from installed import Installed
from pilotlight.core import ModelFiles
from pilotlight.engines.base import Seat
from pilotlight.engines.vllm import VllmEngine, choose
from pilotlight.fleet.local import LocalFleet
from pilotlight.machine import Gpu, Machine, survey

from .checkpoints import GIB, write_model
from .lender import Lender

MACHINE = Machine("a processor", 2, 16 * GIB, (), frozenset({"avx2"}))
GPU_MACHINE = Machine(
    "a processor", 16, 128 * GIB, (Gpu(0, "A10", 24 * GIB), Gpu(1, "A10", 24 * GIB)), frozenset()
)


def bring(build: Path, package: str) -> None:
    """Have `package` in an environment, as far as a look at it goes."""
    place = build / "lib" / "python3.11" / "site-packages" / package
    place.mkdir(parents=True)
    (place / "__init__.py").touch()


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], VllmEngine]:
    """The engine of an environment that is one as far as its record goes."""

    def engine(variant: str) -> VllmEngine:
        build = tmp_path / "engines" / "vllm" / "abc"
        build.mkdir(parents=True)
        record = {"name": "vllm", "version": "0.32.0", "variant": variant, "digest": "abc"}
        (build / "installed.json").write_text(json.dumps(record))
        bring(build, "runai_model_streamer")
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
def engines_directory(installed: Installed) -> Path:
    return installed.having("vllm")


@pytest.fixture(scope="session")
def real_engine(engines_directory: Path) -> VllmEngine:
    return choose(engines_directory, survey())


@pytest_asyncio.fixture(loop_scope="module")
async def fleet(tmp_path: Path) -> AsyncIterator[LocalFleet]:
    fleet = LocalFleet(tmp_path / "logs")
    yield fleet
    await fleet.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lender(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lender]:
    lender = Lender(LocalFleet(tmp_path_factory.mktemp("lender")))
    yield lender
    await lender.close()
