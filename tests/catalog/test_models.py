"""Shapes of models against what their publishers count."""

from __future__ import annotations

import pytest

from pilotlight.catalog import Catalog, load
from pilotlight.catalog.parameters import count

MODELS = load().models
EXACT = {  # safetensors totals of the hub, seen in third parties' files and llama.cpp's own output
    "smollm2-135m": 134_515_008,
    "llama-2-13b": 13_015_864_320,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
    "llama-3.2-1b": 1_235_814_400,
    "smollm3-3b": 3_075_098_624,
    "falcon-180b": 179_522_565_120,
    "qwen2.5-32b": 32_763_876_352,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-235b-a22b": 235_093_634_560,
    "qwen3-coder-480b-a35b": 480_154_875_392,
    "qwen3-next-80b-a3b": 79_674_391_296,
    "qwen3.5-35b-a3b": 34_660_610_688,
    "qwen3.6-27b": 26_895_998_464,
    "deepseek-v2": 235_741_434_880,
    "deepseek-v2-lite": 15_706_484_224,
    "kimi-k2": 1_026_408_232_448,
    "gpt-oss-20b": 20_914_757_184,
    "gpt-oss-120b": 116_829_156_672,
    "gemma-3-4b": 3_880_263_168,
    "granite-4.0-h-small": 32_207_337_984,
    "nemotron-3-nano-30b-a3b": 31_577_937_344,
    "minimax-m2": 228_689_764_864,
    "lfm2-1.2b": 1_170_340_608,
    "mixtral-8x7b": 46_702_792_704,
    "olmo-2-7b": 7_298_617_344,
    "seed-oss-36b": 36_151_104_512,
}


@pytest.mark.parametrize("name", MODELS)
def test_the_shape_sums_up_to_the_published_count(name: str) -> None:
    """Biases and norms inside attention aren't in the sum: at most 0.04 % of any of these."""
    model = MODELS[name]
    assert count(model.architecture).total == pytest.approx(model.parameters, rel=5e-4)


@pytest.mark.parametrize("name", EXACT)
def test_published_counts_are_the_hubs(name: str) -> None:
    assert MODELS[name].parameters == EXACT[name]


@pytest.mark.parametrize("name", [n for n, m in MODELS.items() if m.active_parameters])
def test_a_mixture_multiplies_with_about_what_its_publisher_says(name: str) -> None:
    """Publishers round, and count with or without embeddings: a fifth, for small ones half."""
    model = MODELS[name]
    assert model.architecture.experts, name
    assert model.active_parameters
    slack = 0.5 if model.active_parameters <= 1e9 else 0.2
    active = count(model.architecture).active
    assert active == pytest.approx(model.active_parameters, rel=slack)


@pytest.mark.parametrize("name", MODELS)
def test_a_shape_is_possible(name: str) -> None:
    shape = MODELS[name].architecture
    assert shape.attention_layers >= 0
    if shape.attention_layers:
        assert shape.heads % shape.kv_heads == 0
        assert shape.head_dim % 2 == 0
    if shape.window:
        assert 0 < shape.window.layers <= shape.attention_layers
        assert shape.window.tokens < shape.context
    if shape.experts:
        assert 0 < shape.experts.used <= shape.experts.count
        assert shape.experts.dense_layers < shape.layers
    if shape.latent:
        assert shape.head_dim in (
            shape.latent.nope_dim + shape.latent.rope_dim,
            shape.latent.value_dim,
            128,
        )


def test_all_families_of_shapes_are_there() -> None:
    shapes = [model.architecture for model in MODELS.values()]
    dense = [s for s in shapes if not (s.experts or s.latent or s.window or s.recurrent)]
    assert len(dense) >= 30
    assert sum(shape.experts is not None for shape in shapes) >= 15
    assert sum(shape.latent is not None for shape in shapes) >= 5
    assert sum(shape.window is not None for shape in shapes) >= 8
    assert sum(shape.recurrent is not None for shape in shapes) >= 5
    assert len(MODELS) >= 60


def test_a_model_is_found_as_people_write_it(shipped: Catalog) -> None:
    for text in (
        "llama-3.1-8b",
        "Llama 3.1 8B",
        "meta-llama/Llama-3.1-8B-Instruct",
        "hf:meta-llama/Llama-3.1-8B-Instruct",
        "Llama-3.1-8B-Instruct",
    ):
        assert shipped.models.find(text).name == "llama-3.1-8b"
    assert shipped.models.find("smollm2:135m").name == "smollm2-135m"


def test_grades_go_by_effective_size(shipped: Catalog) -> None:
    grades = {
        "smollm2-135m": "tiny",
        "llama-3.2-3b": "small",
        "llama-3.1-8b": "medium",
        "qwen3-30b-a3b": "medium",
        "qwen2.5-32b": "large",
        "mixtral-8x7b": "large",
        "llama-3.3-70b": "frontier",
        "deepseek-v3": "frontier",
    }
    assert {name: shipped.models[name].grade for name in grades} == grades


def test_a_gguf_is_named_by_its_quantization(shipped: Catalog) -> None:
    ref = shipped.models["llama-3.1-8b"].gguf_ref("q4_k_m")
    assert ref is not None
    assert ref.endswith("/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf")
    assert shipped.models["llama-3.1-405b"].gguf_ref("q4_k_m") is None
