"""Weights in an image: a store that an instance believes by a look, made of verified bytes."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.deploy.image import baked
from pilotlight.deploy.image.spec import EPOCH_S
from pilotlight.errors import ConfigError, DigestError
from pilotlight.store.store import Store

SAFETENSORS = (2).to_bytes(8, "little") + b"{}"
MODEL = b"GGUF" + b"weights" * 1000


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "mine" / "model.gguf"
    path.parent.mkdir()
    path.write_bytes(MODEL)
    return path


def bake(tmp_path: Path, serve: dict[str, Any]) -> tuple[baked.BakedModel, ...]:
    store = Store(tmp_path / "store", StoreSettings())
    wanted = baked.wanted(serve, StoreSettings())
    resolved = asyncio.run(baked.resolve(store, wanted, None))
    return baked.stage(tmp_path / "models", store, resolved, EPOCH_S)


def instance(tmp_path: Path) -> Store:
    """The store as an instance has it: another place, nothing of its own, and no network."""
    shared = tmp_path / "image" / "models"
    shutil.copytree(tmp_path / "models", shared, symlinks=True)
    return Store(tmp_path / "nothing", StoreSettings(shared=(str(shared),), offline=True))


def test_a_file_of_ones_own_is_found_under_the_same_ref_without_it(
    tmp_path: Path, model: Path
) -> None:
    (found,) = bake(tmp_path, {"models": {"mine": str(model)}})
    store = instance(tmp_path)
    model.unlink()
    files = asyncio.run(store.resolve(ModelRef("file", str(model)), digest=found.digest))
    assert files.path.read_bytes() == MODEL
    assert files.path.is_relative_to(tmp_path / "image" / "models")
    assert found.size_bytes == files.size_bytes == len(MODEL)


def test_times_are_those_of_the_layer(tmp_path: Path, model: Path) -> None:
    bake(tmp_path, {"models": {"mine": str(model)}})
    (stored,) = instance(tmp_path).list()
    assert {file.modified_ns for file in stored.snapshot.files} == {EPOCH_S * 10**9}
    assert stored.path.stat().st_mtime == EPOCH_S


def test_a_directory_keeps_its_names(tmp_path: Path) -> None:
    root = tmp_path / "directory"
    (root / "sub").mkdir(parents=True)
    (root / "config.json").write_text("{}")
    (root / "sub" / "adapter.bin").write_bytes(b"1234")
    (root / "weights.safetensors").write_bytes(SAFETENSORS)
    bake(tmp_path, {"models": {"mine": {"ref": str(root)}}})
    files = instance(tmp_path).present(ModelRef("file", str(root)))
    assert files is not None
    assert (files.path / "sub" / "adapter.bin").read_bytes() == b"1234"


def test_a_stored_model_is_copied_and_hashed_on_the_way(tmp_path: Path, model: Path) -> None:
    """What lies in a store already, made here by baking once and taking that as the store."""
    bake(tmp_path, {"models": {"mine": str(model)}})
    settings = StoreSettings(directory=tmp_path / "models")
    store = Store(tmp_path / "models", settings)
    wanted = baked.wanted({"models": {"mine": str(model)}}, settings)
    resolved = asyncio.run(baked.resolve(store, wanted, None))
    baked.stage(tmp_path / "again", store, resolved, EPOCH_S)

    (stored,) = store.list()
    blob = stored.path.resolve()
    blob.write_bytes(MODEL[:-1] + b"!")
    os.utime(blob, (EPOCH_S, EPOCH_S))  # damaged without a trace in size or time
    with pytest.raises(DigestError, match=r"the store says"):
        baked.stage(tmp_path / "third", store, resolved, EPOCH_S)


@pytest.mark.parametrize("digests", [(None, "a"), ("a", None), ("a", "a")])
def test_a_pin_holds_whichever_of_its_names_has_it(
    model: Path, digests: tuple[str | None, str | None]
) -> None:
    entries = ({"digest": f"sha256:{each * 64}"} if each else {} for each in digests)
    models = {str(n): {"ref": str(model), **each} for n, each in enumerate(entries)}
    (one,) = baked.wanted({"models": models}, StoreSettings())
    assert one.digest == f"sha256:{'a' * 64}"


def test_two_pins_of_one_ref_are_refused(model: Path) -> None:
    models = {n: {"ref": str(model), "digest": f"sha256:{n * 64}"} for n in ("a", "b")}
    with pytest.raises(ConfigError, match="a and b have the same ref, and digests that differ"):
        baked.wanted({"models": models}, StoreSettings())


def test_adapters_come_too_and_what_an_engine_has_itself_does_not(
    tmp_path: Path, model: Path
) -> None:
    serve = {
        "models": {
            "mine": {"ref": str(model), "adapters": {"tone": {"ref": "hf:org/repo/tone.gguf"}}},
            "again": {"ref": str(model)},
            "cloud": {"ref": "openai:gpt", "engine": "openai"},
            "class": {"ref": "python:mine.py:Class", "engine": "python"},
        }
    }
    wanted = baked.wanted(serve, StoreSettings())
    assert [one.name for one in wanted] == ["mine", "mine:tone"]
