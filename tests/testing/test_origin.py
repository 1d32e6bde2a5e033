"""The benchmarks' origin: a directory is a repository that the product's own store fetches."""

from __future__ import annotations

import asyncio
import importlib
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import pytest

from pilotlight.config import StoreSettings
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.errors import DigestError, SourceError
from pilotlight.store.store import Store


@pytest.fixture
def origin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    for variable in ("HF_TOKEN", "HF_ENDPOINT", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent.parent))
    return importlib.import_module("benchmarks.origin")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Its weights are large enough for the hub to promise their hash."""
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (directory / "tokenizer.json").write_text("{}")
    (directory / "empty.txt").write_bytes(b"")
    (directory / "model.safetensors").write_bytes(_weights(11 * 10**6))
    (directory / ".git").mkdir()
    (directory / ".git" / "config.json").write_text("{}")
    return directory


def _weights(size_bytes: int) -> bytes:
    tensor = {"dtype": "U8", "shape": [size_bytes], "data_offsets": [0, size_bytes]}
    header = json.dumps({"w": tensor}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(range(250)) * (size_bytes // 250)


@asynccontextmanager
async def serving(origin: ModuleType, path: Path) -> AsyncIterator[str]:
    made = origin.Origin(origin.contents(path))
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def fetch(endpoint: str, place: Path, ref: str) -> ModelFiles:
    return await Store(place, StoreSettings(hf_endpoint=endpoint)).resolve(ModelRef.parse(ref))


async def test_a_directory_is_a_repository(origin: ModuleType, model: Path, tmp_path: Path) -> None:
    async with serving(origin, model) as endpoint:
        files = await fetch(endpoint, tmp_path / "store", "hf:models/checkpoint")
    fetched = {path.name: path.read_bytes() for path in files.path.iterdir()}
    assert fetched == {path.name: path.read_bytes() for path in model.iterdir() if path.is_file()}


async def test_the_commit_is_a_revision_and_no_other_is(
    origin: ModuleType, model: Path, tmp_path: Path
) -> None:
    async with serving(origin, model) as endpoint:
        files = await fetch(endpoint, tmp_path / "store", f"hf:a/b@{origin.COMMIT}")
        assert files.size_bytes > 11 * 10**6
        with pytest.raises(SourceError, match="404"):
            await fetch(endpoint, tmp_path / "other", "hf:a/b@v2")


async def test_large_files_are_promised_by_their_hash(
    origin: ModuleType, model: Path, tmp_path: Path
) -> None:
    """So a benchmark pays for their verification, as a user of the hub does."""
    async with serving(origin, model) as endpoint:
        weights = model / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
        with pytest.raises(DigestError):
            await fetch(endpoint, tmp_path / "store", "hf:models/checkpoint")


async def test_a_file_answers_every_path(origin: ModuleType, model: Path, tmp_path: Path) -> None:
    weights = (model / "model.safetensors").read_bytes()
    async with serving(origin, model / "model.safetensors") as endpoint:
        files = await fetch(endpoint, tmp_path / "store", f"{endpoint}/any/where/w.safetensors")
    assert files.path.read_bytes() == weights
