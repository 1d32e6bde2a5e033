"""What a model can do and what it will take, from its directory alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import Footprint, ModelFiles, Operation
from pilotlight.engines.base import ModelJob
from pilotlight.engines.transformers import TransformersEngine
from pilotlight.engines.transformers.sizing import size
from pilotlight.errors import ModelFormatError
from pilotlight.machine import Machine
from pilotlight.store.checkpoint import read_checkpoint

from . import checkpoints
from .checkpoints import BERT, LLAMA, TOOLS

POOLED = json.dumps([
    {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
])  # fmt: skip
TEXT = {Operation.COMPLETIONS, Operation.TOKENIZE, Operation.DETOKENIZE}
VECTORS = {Operation.EMBEDDINGS, Operation.TOKENIZE, Operation.DETOKENIZE}


def can(engine: TransformersEngine, files: ModelFiles, **given: Any) -> Any:
    return engine.capabilities(files, engine.options(given))


def test_a_model_without_a_template_completes(engine: TransformersEngine, tmp_path: Path) -> None:
    files = checkpoints.write(tmp_path / "m")
    found = can(engine, files)
    assert found.operations == TEXT
    assert found.sleep
    assert found.standby
    assert can(engine, files, chat_template="{{ messages }}").operations == TEXT | {Operation.CHAT}


def test_a_template_says_what_chat_can_do(engine: TransformersEngine, tmp_path: Path) -> None:
    own = json.dumps({"chat_template": TOOLS})
    files = checkpoints.write(tmp_path / "m", tokenizer_config__json=own)
    found = can(engine, files)
    assert Operation.CHAT in found.operations
    assert found.tools
    assert found.thinking
    plain = checkpoints.write(tmp_path / "p", chat_template__jinja="{{ messages }} {{ tools }}")
    assert not can(engine, plain).tools, "its calls are in no format that is read"
    several = json.dumps({"chat_template": [{"name": "tool_use", "template": TOOLS}]})
    assert can(engine, checkpoints.write(tmp_path / "s", tokenizer_config__json=several)).tools


def test_an_encoder_makes_vectors(engine: TransformersEngine, tmp_path: Path) -> None:
    files = checkpoints.write(tmp_path / "m", BERT)
    assert can(engine, files).operations == VECTORS
    path, _ = engine.canary(ModelJob("m", files, engine.options({})))
    assert path == "/v1/embeddings"
    assert engine.context(files, engine.options({})) == 512


def test_positions_that_begin_behind_the_padding(
    engine: TransformersEngine, tmp_path: Path
) -> None:
    config = {
        **BERT, "model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1,
    }  # fmt: skip
    assert engine.context(checkpoints.write(tmp_path / "m", config), engine.options({})) == 512


def test_a_directory_of_sentence_transformers(engine: TransformersEngine, tmp_path: Path) -> None:
    pooling = {"1_Pooling/config__json": json.dumps({"pooling_mode_cls_token": True})}
    files = checkpoints.write(tmp_path / "m", LLAMA, modules__json=POOLED, **pooling)
    assert can(engine, files).operations == TEXT | {Operation.EMBEDDINGS}
    assert can(engine, files, embedding=False).operations == TEXT
    checkpoint = read_checkpoint(files.path)
    assert size(engine.options({}), checkpoint).pooling == "cls"
    assert size(engine.options({"pooling": "mean"}), checkpoint).pooling == "mean"
    dense = POOLED.replace("Normalize", "Dense")
    with pytest.raises(ModelFormatError, match="'Dense'"):
        can(engine, checkpoints.write(tmp_path / "d", BERT, modules__json=dense))


def test_an_encoder_decoder_completes(engine: TransformersEngine, tmp_path: Path) -> None:
    config = {
        "architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True,
        "d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4, "vocab_size": 1000,
    }  # fmt: skip
    files = checkpoints.write(tmp_path / "m", config)
    assert can(engine, files, embedding=True).operations == TEXT
    assert engine.context(files, engine.options({})) == 4096


def predicted(engine: TransformersEngine, files: ModelFiles, **given: Any) -> Footprint:
    return engine.predict(files, engine.options(given))


def test_memory_grows_with_what_asks_for_it(engine: TransformersEngine, tmp_path: Path) -> None:
    files = checkpoints.write(tmp_path / "m", {**LLAMA, "hidden_size": 1024, "vocab_size": 50000})
    small = predicted(engine, files, context=1024, parallel=1)
    assert small.ram_bytes == sum(small.parts.values())
    assert small.parts["weights"] == 1000 * 64 * 2
    twice = predicted(engine, files, context=1024, parallel=2)
    assert twice.parts["kv"] == pytest.approx(2 * small.parts["kv"], rel=1e-6)
    longer = predicted(engine, files, context=2048, parallel=1)
    assert longer.parts["kv"] == pytest.approx(2 * small.parts["kv"], rel=1e-6)
    wide = predicted(engine, files, context=1024, parallel=1, dtype="float32")
    assert wide.parts["weights"] == 2 * small.parts["weights"]
    assert wide.parts["kv"] == pytest.approx(2 * small.parts["kv"], rel=1e-6)
    eager = predicted(engine, files, context=1024, parallel=1, attn_implementation="eager")
    assert eager.parts["compute"] > small.parts["compute"]


def test_a_window_keeps_less(engine: TransformersEngine, tmp_path: Path) -> None:
    kinds = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 256}
    whole = predicted(engine, checkpoints.write(tmp_path / "a"), context=4096)
    slid = predicted(engine, checkpoints.write(tmp_path / "b", {**LLAMA, **kinds}), context=4096)
    assert slid.parts["kv"] < whole.parts["kv"]


def test_a_compressed_cache_is_kept_spelled_out(engine: TransformersEngine, tmp_path: Path) -> None:
    config = {
        **LLAMA, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
        "v_head_dim": 128,
    }  # fmt: skip
    files = checkpoints.write(tmp_path / "m", config)
    kv = predicted(engine, files, context=100, parallel=1).parts["kv"]
    assert kv == round(3 * 100 * 4 * (128 + 64 + 128) * 2 * 1.25)


def test_a_gpu_holds_what_computes(gpu_machine: Machine, tmp_path: Path) -> None:
    engine = TransformersEngine(tmp_path / "engines", gpu_machine)
    files = checkpoints.write(tmp_path / "m")
    one = predicted(engine, files, device="cuda:1")
    assert list(one.gpu_bytes) == ["CUDA1"]
    assert one.gpu_bytes["CUDA1"] > one.parts["kv"] + one.parts["weights"]
    assert one.ram_bytes < one.gpu_bytes["CUDA1"] + one.parts["process"]
    both = predicted(engine, files, device_map="auto")
    assert set(both.gpu_bytes) == {"CUDA0", "CUDA1"}
    assert predicted(engine, files, device="cpu").gpu_bytes == {}
    quantized = predicted(engine, files, quantization="bnb-4bit")
    assert quantized.parts["weights"] == 1000 * 64 * 4.5 // 8
