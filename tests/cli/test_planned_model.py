"""A model ref as a plan knows it: from headers on this node, and from first bytes elsewhere."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest

from pilotlight.calibration import shaped_gguf
from pilotlight.catalog.architecture import Architecture
from pilotlight.cli.engine_answer import llamacpp_answer
from pilotlight.cli.planned_model import planned_model
from pilotlight.cli.question import Question, ask
from pilotlight.config import EngineSettings, LlamacppSettings, Settings
from pilotlight.core import ModelRef
from pilotlight.machine import Machine
from pilotlight.planner.model import from_architecture
from pilotlight.planner.plan import Answer

from .test_pull import Holding

SHAPE = Architecture(
    layers=2, hidden=256, heads=4, kv_heads=2, head_dim=64, feed_forward=512, vocabulary=1000,
    context=4096, tied=True,
)  # fmt: skip
MACHINE = Machine("a processor", 2, 16 * 2**30, (), frozenset({"avx2"}))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    shaped_gguf.write(path, SHAPE, "Q4_K_M")
    return path


def test_a_file_is_counted_to_its_last_byte(settings: Settings, file: Path) -> None:
    model = planned_model(settings, ModelRef.parse(str(file)), "mine")
    assert (model.name, model.source, model.ref) == ("mine", "header", f"file:{file}")
    assert model.weights.file_bytes == file.stat().st_size
    assert model.architecture == SHAPE
    made = from_architecture("made", SHAPE, "Q4_K_M").weights
    assert set(model.weights.groups) == set(made.groups)


def test_a_file_elsewhere_is_the_same_model(settings: Settings, file: Path) -> None:
    here = planned_model(settings, ModelRef.parse(str(file)))
    with Holding(file.read_bytes(), after_bytes=2**40) as server:
        ref = ModelRef.parse(f"{server.url}/m.gguf")
        there = planned_model(settings, ref)
    assert there.weights == here.weights
    assert there.architecture == here.architecture


def test_a_directory_is_read_by_its_headers(settings: Settings, tmp_path: Path) -> None:
    directory = tmp_path / "model"
    directory.mkdir()
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64,
        "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 128,
        "vocab_size": 100, "max_position_embeddings": 512, "torch_dtype": "bfloat16",
    }  # fmt: skip
    (directory / "config.json").write_text(json.dumps(config))
    tensor = {"dtype": "BF16", "shape": [100, 64], "data_offsets": [0, 12800]}
    header = json.dumps({"model.embed_tokens.weight": tensor}).encode()
    packed = struct.pack("<Q", len(header)) + header + bytes(12800)
    (directory / "model.safetensors").write_bytes(packed)
    model = planned_model(settings, ModelRef.parse(str(directory)))
    assert (model.format, model.quantization, model.source) == ("safetensors", "BF16", "header")
    assert model.weights.total_bytes == 12800
    assert model.architecture.tied


def with_tool(settings: Settings, directory: Path, says: str) -> Settings:
    """A llama-server that has its llama-fit-params beside it."""
    for name, body in (("llama-server", "exit 0"), ("llama-fit-params", f"echo '{says}'")):
        (directory / name).write_text(f"#!/bin/sh\n{body}\n")
        os.chmod(directory / name, 0o755)
    llamacpp = LlamacppSettings(server=directory / "llama-server")
    return Settings(data_dir=settings.data_dir, engines=EngineSettings(llamacpp=llamacpp))


def planned_here(own: Settings, file: Path) -> Answer:
    flags = {"platforms": ["this-machine"], "slo": "batch", "rps": 0.01}
    return ask(Question(model=str(file), here=True, flags=flags), own)[0]


def test_the_installed_engines_word_stands_in_the_plan(
    settings: Settings, file: Path, tmp_path: Path
) -> None:
    best = planned_here(with_tool(settings, tmp_path, "Host 700 64 8 "), file).plans[0]
    assert best.memory.rule == "engine"
    assert best.memory.parts["kv"] == 64 * 2**20
    assert best.memory.used_bytes > 772 * 2**20


def test_a_plan_that_the_engine_says_is_too_big_is_none(
    settings: Settings, file: Path, tmp_path: Path
) -> None:
    found = planned_here(with_tool(settings, tmp_path, "Host 99000000 64 8 "), file)
    assert not found.plans
    assert "doesn't fit by" in found.nearest[0].misses[0]
    assert "llamacpp itself says" in found.nearest[0].misses[0]


@pytest.mark.parametrize("says", ["", "no such flag"])
def test_a_tool_without_an_answer_leaves_the_formula(
    settings: Settings, file: Path, tmp_path: Path, says: str
) -> None:
    own = with_tool(settings, tmp_path, says)
    assert llamacpp_answer(own, ModelRef.parse(str(file)), {"context": 512}, MACHINE) is None


def test_without_the_tool_or_the_file_nobody_is_asked(
    settings: Settings, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert llamacpp_answer(settings, ModelRef.parse(str(file)), {}, MACHINE) is None
    own = with_tool(settings, tmp_path, "Host 1 1 1 ")
    far = ModelRef.parse("https://example.invalid/m.gguf")
    assert llamacpp_answer(own, far, {}, MACHINE) is None
