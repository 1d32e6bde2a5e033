"""What is chosen of any names at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.errors import SourceError
from pilotlight.store.sources.contents import (
    Choice,
    choose,
    choose_quantization,
    ggufs,
    is_pickled,
    parts_of,
)

NAMES = st.sampled_from(
    [
        "config.json", "params.json", "adapter_config.json", "adapter_model.safetensors",
        "model.safetensors", "model.fp16.safetensors", "model.safetensors.index.json",
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
        "consolidated.safetensors", "pytorch_model.bin", "model.PT", "x.ckpt", "tokenizer.json",
        "README.md", ".hidden.json", "onnx/config.json", "1_Pooling/config.json",
        "1_Dense/pytorch_model.bin", "original/params.json", "a-Q4_0.gguf", "b/a-Q8_0.GGUF",
        "mmproj-F16.gguf", "a-mmproj.gguf", "s-Q2_K-00001-of-00002.gguf",
        "s-Q2_K-00002-of-00002.gguf", "z-00000-of-00000.gguf", ".gguf", "imatrix.gguf",
    ]
)  # fmt: skip
TAGS = st.sampled_from(["Q4_0", "q8_0", "Q2_K", "F16", "a", "", "-", "gguf"])


def check(choice: Choice, names: list[str]) -> None:
    assert choice.names
    assert set(choice.names) <= set(names)
    assert len(set(choice.names)) == len(choice.names)
    assert not any(is_pickled(name) for name in choice.names)
    assert not any("mmproj" in name or "imatrix" in name for name in choice.names)
    if choice.entry is None:
        assert any(name.endswith(".safetensors") for name in choice.names)
        assert not any(name.lower().endswith(".gguf") for name in choice.names)
    else:
        assert choice.entry == choice.names[0]
        assert choice.names == parts_of(choice.entry)


@given(st.lists(NAMES, unique=True))
def test_a_choice_is_one_whole_model_without_pickles(names: list[str]) -> None:
    try:
        choice = choose(names, "here")
    except SourceError:
        return
    check(choice, names)


@given(st.lists(NAMES, unique=True), TAGS)
def test_a_quantization_is_one_whole_gguf(names: list[str], tag: str) -> None:
    try:
        choice = choose_quantization(names, tag, "here")
    except SourceError:
        return
    check(choice, names)
    assert choice.entry is not None


@pytest.mark.parametrize(
    ("name", "quantization"),
    [
        ("Llama-3.2-1B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("tinyllama-1.1b-chat-v1.0.Q5_K_S.gguf", "Q5_K_S"),
        ("Qwen3-8B-UD-IQ2_XXS.gguf", "UD-IQ2_XXS"),
        ("gpt-oss-20b-MXFP4.gguf", "MXFP4"),
        ("gpt-oss-20b-mxfp4_moe.gguf", "mxfp4_moe"),
        ("model-f16.gguf", "f16"),
        ("bitnet-TQ1_0.gguf", "TQ1_0"),
        ("Q6_K/model-00001-of-00001.gguf", "Q6_K"),
        ("Qwen2.5-0.5B.gguf", "Qwen2.5-0.5B"),
        ("phi-4-q4.gguf", "q4"),
    ],
)
def test_quantizations_as_people_write_them(name: str, quantization: str) -> None:
    assert [model.quantization for model in ggufs([name])] == [quantization]
