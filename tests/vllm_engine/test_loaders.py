"""Ways of reading weights that need more than vLLM has are refused before a start."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotlight.engines.environments.plan import pins
from pilotlight.engines.vllm import VllmEngine
from pilotlight.engines.vllm.loaders import LOADERS
from pilotlight.engines.vllm.options import LOAD_FORMATS
from pilotlight.errors import EngineOptionError

from .conftest import bring


def refused(engine: VllmEngine, load_format: str) -> EngineOptionError:
    with pytest.raises(EngineOptionError, match=f"'{load_format}'") as caught:
        engine.options({"load_format": load_format})
    return caught.value


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    return tmp_path / "engines" / "vllm" / "abc" / "lib" / "python3.11" / "site-packages"


AGAIN = "pilotlight engines install vllm --force"


@pytest.mark.parametrize(
    ("load_format", "package"),
    [
        ("runai_streamer", "runai-model-streamer"),
        ("runai_streamer_sharded", "runai-model-streamer"),
        ("fastsafetensors", "fastsafetensors"),
        ("instanttensor", "instanttensor"),
        ("tensorizer", "tensorizer"),
    ],
)
def test_on_gpus_a_loader_is_taken_once_its_package_is_there(
    load_format: str, package: str, make: Callable[[str], VllmEngine], packages: Path
) -> None:
    engine = make("cuda")
    shutil.rmtree(packages, ignore_errors=True)
    error = refused(engine, load_format)
    assert repr(package) in error.message
    assert error.hint is not None
    # What the lock has, an install brings back.
    assert (AGAIN in error.hint) == (package in pins("vllm-cuda"))
    assert AGAIN in error.hint or error.hint.endswith(f"install {package}")
    bring(packages.parents[2], package.replace("-", "_"))
    assert engine.options({"load_format": load_format}).load_format == load_format


def test_on_a_processor_the_streamer_is_an_extra(engine: VllmEngine, packages: Path) -> None:
    assert engine.options({"load_format": "runai_streamer"})
    shutil.rmtree(packages / "runai_model_streamer")
    error = refused(engine, "runai_streamer")
    assert error.hint == (
        f"run: python -m pip --python {packages.parents[2]}/bin/python install runai-model-streamer"
    )


@pytest.mark.parametrize("load_format", ["fastsafetensors", "instanttensor"])
def test_what_reads_into_gpus_is_not_for_a_processor(
    load_format: str, engine: VllmEngine, packages: Path
) -> None:
    bring(packages.parents[2], load_format)
    error = refused(engine, load_format)
    assert "GPU" in error.message
    assert error.hint is not None
    assert "leave it out" in error.hint


def test_every_loader_is_a_load_format() -> None:
    assert set(LOADERS) < set(LOAD_FORMATS)
