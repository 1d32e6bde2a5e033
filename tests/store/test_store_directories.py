"""Models that are directories: config.json, a tokenizer and safetensors."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.errors import DigestError, ModelFormatError, SourceError
from pilotlight.store.checkpoint import read_checkpoint
from pilotlight.store.store import Store

CONFIG = {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 128}


def weights(name: str = "w", dtype: str = "F32", *, cut: int = 0) -> bytes:
    tensor = {"dtype": dtype, "shape": [4, 2], "data_offsets": [0, 32]}
    header = json.dumps({name: tensor, "__metadata__": {"format": "pt"}}).encode()
    return (struct.pack("<Q", len(header)) + header + bytes(32))[: -cut or None]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(CONFIG))
    (directory / "model.safetensors").write_bytes(weights())
    return directory


async def test_a_directory_is_used_where_it_is(store: Store, model: Path) -> None:
    ref = ModelRef.parse(str(model))
    size_bytes = sum(path.stat().st_size for path in model.iterdir())
    expected = ModelFiles(ref, model, size_bytes, None)
    assert store.present(ref) == await store.resolve(ref) == expected


async def test_a_digest_pins_a_directory_by_all_its_files(store: Store, model: Path) -> None:
    (model / ".cache").mkdir()
    (model / ".cache" / "note").write_text("another program's")
    ref = ModelRef("file", str(model))
    pin = f"sha256:{sha256sum(model)}"
    files = await store.resolve(ref, digest=pin)
    assert files.digest == pin
    assert store.present(ref) == files
    (model / "tokenizer.json").write_text("{}")
    assert sha256sum(model) not in pin
    with pytest.raises(DigestError, match=sha256sum(model)):
        await store.resolve(ref, digest=pin)


def sha256sum(directory: Path) -> str:
    """What the pin of a directory is, as docs/store.md has users compute it."""
    command = "sha256sum -- * | LC_ALL=C sort | sha256sum"
    found = subprocess.run(command, shell=True, cwd=directory, capture_output=True, check=True)
    return found.stdout.decode().split()[0]


async def refused(store: Store, model: Path) -> SourceError:
    assert store.present(ModelRef("file", str(model))) is None
    with pytest.raises(SourceError) as caught:
        await store.resolve(ModelRef("file", str(model)))
    return caught.value


async def test_pickled_weights_are_told_apart(store: Store, model: Path) -> None:
    (model / "pytorch_model.bin").write_bytes(b"pickled")
    assert not read_checkpoint(model).is_pickled
    (model / "model.safetensors").unlink()
    files = await store.resolve(ModelRef("file", str(model)))
    found = read_checkpoint(files.path)
    assert found.is_pickled
    assert (found.pickles, found.weights_bytes) == (("pytorch_model.bin",), 7)


async def test_a_directory_without_weights_or_without_a_model(store: Store, model: Path) -> None:
    (model / "model.safetensors").unlink()
    assert "no weights" in (await refused(store, model)).message
    (model / "config.json").unlink()
    assert "without a model" in (await refused(store, model)).message


def test_what_a_directory_says(model: Path) -> None:
    (model / "chat_template.jinja").write_text("{{ messages }}")
    found = read_checkpoint(model)
    assert (found.kind, found.context, found.weights_bytes) == ("causal", 128, 32)
    assert found.elements == {"F32": 8}
    assert found.chat_template == "{{ messages }}"
    assert read_checkpoint(model / "model.safetensors") == found


def test_a_changed_directory_is_read_anew(model: Path) -> None:
    assert read_checkpoint(model).context == 128
    (model / "config.json").write_text(json.dumps({**CONFIG, "max_position_embeddings": 4096}))
    assert read_checkpoint(model).context == 4096


def test_shards_count_together_and_a_missing_one_is_named(model: Path) -> None:
    (model / "model.safetensors").unlink()
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = {"weight_map": {"a": names[0], "b": names[1]}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    (model / names[0]).write_bytes(weights("a"))
    (model / "other.safetensors").write_bytes(weights("c"))
    with pytest.raises(ModelFormatError, match=names[1]):
        read_checkpoint(model)
    (model / names[1]).write_bytes(weights("b"))
    assert read_checkpoint(model).weights_bytes == 64


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (weights(cut=1), "ends before"),
        (weights()[:20], "longer than the file"),
        (b"", "longer than the file"),
        (b"<html>not found</html>", "longer than the file"),
        (struct.pack("<Q", 4) + b"{...", "not JSON"),
        (struct.pack("<Q", 2) + b"[]", "no object"),
        (struct.pack("<Q", 11) + b'{"w": {}}  ', "not described"),
        (weights(dtype="F1"), "'F1'"),
    ],
    ids=range(8),
)
def test_broken_weights_say_why(content: bytes, why: str, model: Path) -> None:
    (model / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelFormatError, match=why):
        read_checkpoint(model)


@pytest.mark.parametrize("config", ["{", "[]"])
def test_a_broken_configuration_is_named(config: str, model: Path) -> None:
    (model / "config.json").write_text(config)
    with pytest.raises(ModelFormatError, match=r"config\.json"):
        read_checkpoint(model)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, "causal"),
        ({"architectures": ["Gemma3ForConditionalGeneration"]}, "causal"),
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "seq2seq"),
        ({"architectures": ["BertModel"]}, "encoder"),
        ({}, "encoder"),
    ],
)
def test_the_kinds_of_model(config: dict[str, Any], kind: str, model: Path) -> None:
    (model / "config.json").write_text(json.dumps(config))
    assert read_checkpoint(model).kind == kind
