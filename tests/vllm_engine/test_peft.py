"""What a PEFT directory says of itself, and what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotlight.errors import ModelFormatError
from pilotlight.store.peft import is_adapter, read_adapter
from pilotlight.store.safetensors import TensorHeader

from .peft_lora import halves, write_lora

Q = "model.layers.0.self_attn.q_proj"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_lora(tmp_path / "lora", halves({Q: (6, 8)}, 4)).path


def say(directory: Path, **more: Any) -> None:
    path = directory / "adapter_config.json"
    told = {**json.loads(path.read_bytes()), **more}
    path.write_text(json.dumps({name: value for name, value in told.items() if value != ...}))


def test_its_headers_are_read(directory: Path) -> None:
    lora = read_adapter(directory)
    assert (lora.rank, lora.alpha, lora.base_model) == (4, 8.0, "trainer/base")
    assert lora.target_modules[:2] == ("q_proj", "k_proj")
    assert lora.tensors == {
        f"base_model.model.{Q}.lora_A.weight": TensorHeader("F32", (4, 8)),
        f"base_model.model.{Q}.lora_B.weight": TensorHeader("F32", (6, 4)),
    }
    assert lora.size_bytes == sum(file.stat().st_size for file in directory.iterdir())


def test_ranks_by_pattern_are_pefts(directory: Path) -> None:
    say(directory, rank_pattern={"v_proj": 2, r"layers\.1\..*": 16}, target_modules="all-linear")
    lora = read_adapter(directory)
    assert lora.highest_rank == 16
    assert lora.rank_of("model.layers.0.self_attn.v_proj") == 2
    assert lora.rank_of("model.layers.1.self_attn.q_proj") == 16
    assert lora.rank_of("model.layers.1.self_attn.v_proj") == 2, "the first that matches"
    assert lora.rank_of("model.layers.0.self_attn.xv_proj") == 4, "whole parts of a name"
    assert lora.target_modules == ("all-linear",)


def test_it_is_told_from_a_model(directory: Path, tmp_path: Path) -> None:
    assert is_adapter(directory)
    assert not is_adapter(tmp_path)
    assert not is_adapter(directory / "adapter_model.safetensors")
    (directory / "adapter_model.safetensors").unlink()
    assert not is_adapter(directory)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"peft_type": "IA3"}, "type 'IA3', no LoRA"),
        ({"r": ...}, "r is None, expected a whole number"),
        ({"r": 0}, "r is 0"),
        ({"r": True}, "r is True"),
        ({"lora_alpha": "16"}, "lora_alpha is '16'"),
        ({"rank_pattern": [4]}, r"rank_pattern is \[4\]"),
        ({"rank_pattern": {"q_proj": 1.5}}, "rank_pattern.q_proj is 1.5"),
        ({"rank_pattern": {"q_(": 4}}, r"'q_\(', expected a regular expression"),
        ({"target_modules": {"q_proj": 1}}, "target_modules is"),
    ],
)
def test_a_broken_configuration_is_told(more: dict[str, Any], words: str, directory: Path) -> None:
    say(directory, **more)
    with pytest.raises(ModelFormatError, match=words):
        read_adapter(directory)


@pytest.mark.parametrize(
    ("text", "words"), [("{", "is not JSON"), ("[]", "no JSON object"), (None, "there is no")]
)
def test_no_configuration(text: str | None, words: str, directory: Path) -> None:
    path = directory / "adapter_config.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(ModelFormatError, match=words):
        read_adapter(directory)


def test_cut_tensors_are_told(directory: Path) -> None:
    weights = directory / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(ModelFormatError, match="ends before its weights do"):
        read_adapter(directory)
    weights.unlink()
    with pytest.raises(ModelFormatError, match="there is no"):
        read_adapter(directory)


def test_pickles_are_not_read(directory: Path) -> None:
    (directory / "adapter_model.safetensors").rename(directory / "adapter_model.bin")
    with pytest.raises(ModelFormatError, match="pickled") as caught:
        read_adapter(directory)
    assert caught.value.hint == "save it with safe_serialization=True"
