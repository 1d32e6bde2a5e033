"""Shapes from config.json, each against the catalog's row of the same model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pilotlight.catalog import load
from pilotlight.errors import PlanError
from pilotlight.planner.configs import architecture_of_config, from_checkpoint, quantization_of
from pilotlight.planner.model import from_architecture
from pilotlight.planner.tensors import tensors
from pilotlight.store.safetensors import TensorHeader

CATALOG = load()

LLAMA = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
    "max_position_embeddings": 131072, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip
MIXTRAL = {
    "model_type": "mixtral", "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
    "vocab_size": 32000, "max_position_embeddings": 32768, "num_local_experts": 8,
    "num_experts_per_tok": 2, "sliding_window": None, "tie_word_embeddings": False,
}  # fmt: skip
DEEPSEEK = {
    "model_type": "deepseek_v3", "hidden_size": 7168, "num_hidden_layers": 61,
    "num_attention_heads": 128, "num_key_value_heads": 128, "intermediate_size": 18432,
    "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": 1,
    "num_experts_per_tok": 8, "first_k_dense_replace": 3, "kv_lora_rank": 512, "q_lora_rank": 1536,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 129280,
    "max_position_embeddings": 163840, "tie_word_embeddings": False, "moe_layer_freq": 1,
    "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
}  # fmt: skip
GEMMA_3 = {
    "model_type": "gemma3",
    "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27},
    "text_config": {
        "model_type": "gemma3_text", "hidden_size": 5376, "num_hidden_layers": 62,
        "num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 128,
        "intermediate_size": 21504, "vocab_size": 262208, "sliding_window": 1024,
        "max_position_embeddings": 131072,
    },
}  # fmt: skip
GPT_OSS = {
    "model_type": "gpt_oss", "hidden_size": 2880, "num_hidden_layers": 24,
    "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 2880,
    "vocab_size": 201088, "max_position_embeddings": 131072, "num_local_experts": 32,
    "num_experts_per_tok": 4, "sliding_window": 128, "tie_word_embeddings": False,
    "layer_types": ["sliding_attention", "full_attention"] * 12,
    "quantization_config": {"quant_method": "mxfp4"},
}  # fmt: skip
QWEN_NEXT = {
    "model_type": "qwen3_next", "hidden_size": 2048, "num_hidden_layers": 48,
    "num_attention_heads": 16, "num_key_value_heads": 2, "head_dim": 256,
    "intermediate_size": 5120, "moe_intermediate_size": 512, "num_experts": 512,
    "num_experts_per_tok": 10, "shared_expert_intermediate_size": 512, "vocab_size": 151936,
    "max_position_embeddings": 262144, "decoder_sparse_step": 1, "mlp_only_layers": [],
    "full_attention_interval": 4, "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128,
    "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_value_head_dim": 128,
    "tie_word_embeddings": False,
}  # fmt: skip
FALCON_MAMBA = {
    "model_type": "falcon_mamba", "hidden_size": 4096, "num_hidden_layers": 64,
    "intermediate_size": 8192, "state_size": 16, "conv_kernel": 4, "time_step_rank": 256,
    "vocab_size": 65024, "tie_word_embeddings": False, "expand": 16,
}  # fmt: skip
QWEN_MOE = {
    "model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 48,
    "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
    "intermediate_size": 6144, "moe_intermediate_size": 768, "num_experts": 128,
    "num_experts_per_tok": 8, "vocab_size": 151936, "max_position_embeddings": 40960,
    "decoder_sparse_step": 1, "mlp_only_layers": [], "tie_word_embeddings": False,
    "use_sliding_window": False, "sliding_window": None,
}  # fmt: skip

CASES: Mapping[str, Mapping[str, Any]] = {
    "llama-3.1-8b": LLAMA, "mixtral-8x7b": MIXTRAL, "deepseek-v3": DEEPSEEK,
    "gemma-3-27b": GEMMA_3, "gpt-oss-20b": GPT_OSS, "qwen3-next-80b-a3b": QWEN_NEXT,
    "falcon-mamba-7b": FALCON_MAMBA, "qwen3-30b-a3b": QWEN_MOE,
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_configuration_says_the_shape_that_the_catalog_has(name: str) -> None:
    found, known = architecture_of_config(CASES[name]), CATALOG.models[name].architecture
    assert (found.layers, found.hidden, found.vocabulary) == (
        known.layers, known.hidden, known.vocabulary,
    )  # fmt: skip
    assert found.kv_heads == known.kv_heads
    assert (found.tied, found.latent, found.window) == (known.tied, known.latent, known.window)
    assert found.experts == known.experts
    assert found.attention_layers == known.attention_layers
    total, published = (
        from_architecture(name, shape, "BF16").parameters for shape in (found, known)
    )
    assert total == pytest.approx(published, rel=0.005)


def test_a_recurrent_state_is_the_catalogs() -> None:
    for name in ("qwen3-next-80b-a3b", "falcon-mamba-7b"):
        found = architecture_of_config(CASES[name]).recurrent
        known = CATALOG.models[name].architecture.recurrent
        assert found is not None
        assert known is not None
        assert replace(found, parameters=0) == replace(known, parameters=0), name


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LLAMA, "BF16"),
        ({**LLAMA, "torch_dtype": "float16"}, "F16"),
        ({"text_config": {"dtype": "float32"}}, "F32"),
        (DEEPSEEK, "FP8"),
        (GPT_OSS, "MXFP4"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "AWQ"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "GPTQ"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "NF4"),
        ({"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"}}, "NVFP4"),
        (
            {
                "quantization_config": {
                    "quant_method": "compressed-tensors",
                    "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "int"}}},
                }
            },
            "INT8",
        ),
    ],
)
def test_quantizations_are_read_from_the_configuration(
    config: Mapping[str, Any], expected: str
) -> None:
    assert quantization_of(config) == expected


def test_without_headers_the_weights_follow_from_the_shape() -> None:
    model = from_checkpoint("mine", DEEPSEEK)
    assert (model.source, model.quantization, model.format) == ("config", "FP8", "safetensors")
    assert model.parameters / 1e9 == pytest.approx(671.0, rel=0.001)


HUB = {
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}  # fmt: skip


def stored(dtype: str = "BF16") -> dict[str, TensorHeader]:
    """Llama 3.1 8B's tensors, as the hub names them."""
    found = {}
    for tensor in tensors(architecture_of_config(LLAMA)):
        kind = HUB[tensor.kind.removesuffix(".weight")]
        name = kind if tensor.layer is None else f"model.layers.{tensor.layer}.{kind}"
        found[f"{name}.weight"] = TensorHeader(dtype, tuple(reversed(tensor.shape)))
    return found


def test_headers_are_counted_tensor_by_tensor() -> None:
    model = from_checkpoint("mine", LLAMA, stored())
    assert model.source == "header"
    made = from_architecture("made", architecture_of_config(LLAMA), "BF16")
    assert set(model.weights.groups) == set(made.weights.groups)


def test_headers_know_better_whether_the_embedding_is_tied() -> None:
    tied = {name: tensor for name, tensor in stored().items() if "lm_head" not in name}
    model = from_checkpoint("mine", LLAMA, tied)
    assert model.architecture.tied
    assert model.weights.bytes_of("lookup") == 0


def test_packed_weights_keep_their_bytes_and_get_their_number_from_the_shape() -> None:
    """AWQ: eight weights in an I32, scales and zeros for groups of 128."""
    packed = stored()
    for name in [name for name in packed if "_proj" in name]:
        rows, columns = packed.pop(name).shape
        stem = name.removesuffix("weight")
        packed[f"{stem}qweight"] = TensorHeader("I32", (columns, rows // 8))
        packed[f"{stem}qzeros"] = TensorHeader("I32", (columns // 128, rows // 8))
        packed[f"{stem}scales"] = TensorHeader("F16", (columns // 128, rows))
    config = {**LLAMA, "quantization_config": {"quant_method": "awq", "bits": 4}}
    model = from_checkpoint("mine", config, packed)
    by_name = from_architecture("made", architecture_of_config(LLAMA), "AWQ")
    assert model.parameters == by_name.parameters
    assert model.weights.total_bytes == pytest.approx(by_name.weights.total_bytes, rel=0.001)
    assert set(model.weights.bytes_by_type("dense")) == {"BF16", "INT4"}


def test_eyes_are_never_read_for_text() -> None:
    seeing = {**stored(), "vision_tower.patch.weight": TensorHeader("BF16", (1000, 1000))}
    weights = from_checkpoint("mine", LLAMA, seeing).weights
    assert weights.bytes_of("idle") == 2_000_000


def test_layers_that_guess_further_tokens_are_never_read() -> None:
    """DeepSeek-V3's 62nd of 61."""
    guessing = {**stored(), "model.layers.32.mlp.up_proj.weight": TensorHeader("BF16", (100, 100))}
    weights = from_checkpoint("mine", LLAMA, guessing).weights
    assert weights.bytes_of("idle") == 20_000


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "states no hidden_size"),
        ({"hidden_size": 64}, "states no num_hidden_layers"),
        ({"hidden_size": 64, "num_hidden_layers": 2}, "states no num_attention_heads"),
        ({**LLAMA, "model_type": "falcon_h1"}, "attend and recur at once"),
    ],
)
def test_a_configuration_that_says_too_little_is_refused(
    config: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        architecture_of_config(config)
