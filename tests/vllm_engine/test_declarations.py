"""What a model can do, how much it needs, and which directory is no model, from its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import Capabilities, ModelFiles, Operation
from pilotlight.engines.vllm import VllmEngine
from pilotlight.errors import ModelFormatError

from .checkpoints import GIB, LLAMA, write_model

TOKENS = {Operation.TOKENIZE, Operation.DETOKENIZE}


def ask(engine: VllmEngine, files: ModelFiles, **given: Any) -> Capabilities:
    return engine.capabilities(files, engine.options(given))


def test_a_chat_model(engine: VllmEngine, files: ModelFiles) -> None:
    can = ask(engine, files)
    assert can.operations == TOKENS | {
        Operation.CHAT, Operation.COMPLETIONS, Operation.COUNT_TOKENS,
    }  # fmt: skip
    assert can.stream_usage == "asked"
    assert can.standby
    assert not any((can.sleep, can.tools, can.vision, can.thinking, can.lora))
    chat = can.parameters[Operation.CHAT]
    assert {"top_k", "structured_outputs", "ignore_eos"} <= chat
    assert not {"priority", "reasoning_effort", "parallel_tool_calls", "chat_template"} & chat


def test_options_open_what_they_are_for(engine: VllmEngine, files: ModelFiles) -> None:
    can = ask(
        engine, files,
        tool_call_parser="hermes", reasoning_parser="qwen3", scheduling_policy="priority",
        enable_lora=True,
    )  # fmt: skip
    assert can.tools
    assert can.thinking
    assert can.lora
    wanted = {"priority", "reasoning_effort", "thinking_token_budget", "parallel_tool_calls"}
    assert wanted <= can.parameters[Operation.CHAT]


def test_without_a_template_there_is_no_chat(engine: VllmEngine, tmp_path: Path) -> None:
    bare = write_model(tmp_path / "bare", template=None)
    assert Operation.CHAT not in ask(engine, bare).operations
    file = tmp_path / "chat.jinja"
    file.write_text("{{ messages }}")
    assert Operation.CHAT in ask(engine, bare, chat_template=str(file)).operations
    (bare.path / "chat_template.jinja").write_text("{{ messages }}")
    (bare.path / "config.json").touch()
    assert Operation.CHAT in ask(engine, bare).operations


@pytest.mark.parametrize(
    ("architecture", "more", "operations"),
    [
        ("BertModel", {}, {Operation.EMBEDDINGS, Operation.RERANK}),
        ("BertForSequenceClassification", {"num_labels": 1}, {Operation.RERANK}),
        ("BertForSequenceClassification", {"id2label": {"0": "yes"}}, {Operation.RERANK}),
        ("BertForSequenceClassification", {"id2label": {"0": "a", "1": "b"}}, set()),
    ],
)
def test_pooling_models(
    architecture: str,
    more: dict[str, Any],
    operations: set[Operation],
    engine: VllmEngine,
    tmp_path: Path,
) -> None:
    config = {**LLAMA, "architectures": [architecture], **more}
    files = write_model(tmp_path / "pooling", config, template=None)
    assert ask(engine, files).operations == TOKENS | operations


def test_a_generating_model_can_embed(engine: VllmEngine, files: ModelFiles) -> None:
    can = ask(engine, files, convert="embed")
    assert can.operations == TOKENS | {Operation.EMBEDDINGS, Operation.RERANK}
    assert ask(engine, files, runner="pooling").operations == can.operations


def test_images_come_from_hosts_that_were_named(engine: VllmEngine, tmp_path: Path) -> None:
    config = {
        "architectures": ["LlavaForConditionalGeneration"],
        "text_config": LLAMA,
        "vision_config": {},
    }
    files = write_model(tmp_path / "sees", config)
    closed = ask(engine, files)
    assert closed.vision
    assert "image_url.remote" not in closed.parameters[Operation.CHAT]
    opened = ask(engine, files, allowed_media_domains=["example.com"])
    assert "image_url.remote" in opened.parameters[Operation.CHAT]
    assert engine.context(files, engine.options({})) == 4096


def test_memory_on_a_processor(engine: VllmEngine, tmp_path: Path) -> None:
    tensors = {"a": ("F32", (1024, 1024), 4), "b": ("U8", (1024, 1024), 1)}
    files = write_model(tmp_path / "m", tensors=tensors)
    parts = engine.predict(files, engine.options({"kv_cache_memory_bytes": "1GiB"})).parts
    assert parts["weights"] == 3 * 2**20, "floats halve, quantized values stay"
    assert parts["kv"] == GIB
    whole = engine.options({"dtype": "float32", "kv_cache_memory_bytes": "1GiB"})
    assert engine.predict(files, whole).parts["weights"] == 5 * 2**20


def test_ranks_multiply_what_is_theirs(engine: VllmEngine, files: ModelFiles) -> None:
    given = {"kv_cache_memory_bytes": "1GiB"}
    one = engine.predict(files, engine.options(given)).parts
    two = engine.predict(files, engine.options({**given, "tensor_parallel_size": 2})).parts
    assert two["kv"] == 2 * one["kv"]
    assert two["weights"] == one["weights"]
    assert two["process"] > one["process"]


def test_memory_on_gpus(gpu_engine: VllmEngine, files: ModelFiles) -> None:
    both = gpu_engine.options({"tensor_parallel_size": 2, "gpu_memory_utilization": 0.5})
    assert gpu_engine.predict(files, both).gpu_bytes == {"CUDA0": 12 * GIB, "CUDA1": 12 * GIB}
    sized = gpu_engine.options({"kv_cache_memory_bytes": "4GiB"})
    found = gpu_engine.predict(files, sized).gpu_bytes
    assert list(found) == ["CUDA0"]
    assert 4 * GIB < found["CUDA0"] < 6 * GIB


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no whole safetensors"),
        (b"\xff" * 64, "longer than the file"),
        (b"\x04\x00\x00\x00\x00\x00\x00\x00junk", "no whole safetensors"),
    ],
)
def test_a_damaged_file_is_named(
    engine: VllmEngine, tmp_path: Path, content: bytes, words: str
) -> None:
    files = write_model(tmp_path / "m")
    (files.path / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelFormatError) as caught:
        engine.predict(files, engine.options({}))
    assert words in caught.value.message
    assert "model.safetensors" in caught.value.message


def test_a_cut_file_is_named(engine: VllmEngine, tmp_path: Path) -> None:
    files = write_model(tmp_path / "m")
    file = files.path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ModelFormatError, match="ends before"):
        engine.predict(files, engine.options({}))


def test_a_torn_configuration_is_named(engine: VllmEngine, tmp_path: Path) -> None:
    files = write_model(tmp_path / "m")
    (files.path / "config.json").write_text("{")
    with pytest.raises(ModelFormatError, match=r"config\.json"):
        engine.context(files, engine.options({}))
