from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pilotlight.config import LlamacppSettings
from pilotlight.core import ModelFiles
from pilotlight.engines.base import Engine, Seat
from pilotlight.engines.llamacpp import choose
from pilotlight.fleet.local import LocalFleet
from pilotlight.machine import Gpu, Machine, survey

from .headers import write_gguf

GIB = 2**30


@pytest.fixture
def machine() -> Machine:
    return Machine("a processor", 2, 16 * GIB, (), frozenset({"avx2"}))


@pytest.fixture
def gpu_machine() -> Machine:
    gpus = (Gpu(0, "A10", 24 * GIB), Gpu(1, "A10", 24 * GIB))
    return Machine("a processor", 16, 128 * GIB, gpus, frozenset({"avx2"}))


@pytest.fixture
def seat(tmp_path: Path) -> Seat:
    directory = tmp_path / "seat"
    directory.mkdir(mode=0o700)
    return Seat(directory, directory / "e.sock", "the-secret")


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    """A chat model as far as its header goes."""
    return write_gguf(
        tmp_path / "model.gguf",
        llama__context_length=8192,
        llama__block_count=2,
        tokenizer__chat_template="{{ messages }} {{ tools }}",
    )


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[LocalFleet]:
    fleet = LocalFleet(tmp_path / "logs")
    yield fleet
    await fleet.close()


@pytest.fixture
def make_engine() -> Callable[[str], Engine]:
    """The real engine by program; llama-server's is found by LLAMA_SERVER or on PATH."""

    def make(program: str) -> Engine:
        if program == "wheel":
            return choose(LlamacppSettings(prefer="wheel"), survey())
        found = os.environ.get("LLAMA_SERVER") or shutil.which("llama-server")
        if not found:
            pytest.skip("no llama-server: set LLAMA_SERVER to one, or put it on PATH")
        return choose(LlamacppSettings(server=Path(found)), survey())

    return make
