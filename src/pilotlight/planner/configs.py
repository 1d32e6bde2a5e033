"""A model from its config.json, and from the headers of its safetensors where they were read.

Families name one thing differently; the names are those of transformers' configuration classes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pilotlight.catalog.architecture import Architecture, Experts, Latent, Recurrent, Window
from pilotlight.errors import PlanError
from pilotlight.planner.model import PlannedModel, from_architecture
from pilotlight.planner.tensors import Role
from pilotlight.planner.weights import WeightGroup, Weights
from pilotlight.store.safetensors import DTYPE_BITS, TensorHeader

_BOTH = ("falcon_h1",)
"""Families whose every layer attends and recurs."""

_TIED = frozenset({
    "gemma", "gemma2", "gemma3", "gemma3_text", "cohere", "cohere2", "t5", "gpt2", "bloom",
})  # fmt: skip
"""Families whose configuration doesn't say that the output reads the embedding, and it does."""

_UNGATED = frozenset({"gpt2", "gpt_neox", "opt", "falcon", "bloom", "phi", "starcoder2", "mpt"})

_WINDOWED_IN_TURN = {"gemma2": 2, "cohere2": 4, "gemma3": 6, "gemma3_text": 6}
"""Of so many layers one sees everything, where the configuration leaves it to the code."""

_NAMES = {"F8_E4M3": "FP8", "F8_E5M2": "FP8", "I8": "INT8"}
_WHOLE = {"BF16": "BF16", "F16": "F16", "F32": "F32"}
_LAYER = re.compile(r"\blayers\.(\d+)\.")
_OTHER_SENSES = ("vision", "visual", "audio", "image", "mm_projector", "multi_modal", "mtp.")


@dataclass(frozen=True, slots=True)
class _Config:
    values: Mapping[str, Any]

    @property
    def family(self) -> str:
        return str(self.values.get("model_type", ""))

    def number(self, *names: str) -> int | None:
        for name in names:
            value = self.values.get(name)
            if type(value) is int:
                return value
        return None

    def least(self, name: str, *others: str) -> int:
        """Raises PlanError without any of them."""
        found = self.number(name, *others)
        if found is None:
            raise PlanError(
                f"the config.json of a {self.family or 'nameless'} model states no {name}",
                hint="plan by the name of a catalog model, or from a GGUF file",
            )
        return found


def from_checkpoint(
    name: str,
    config: Mapping[str, Any],
    stored: Mapping[str, TensorHeader] | None = None,
    ref: str | None = None,
) -> PlannedModel:
    """`stored` are all tensors by name; without them the weights follow from the shape.

    Raises:
        PlanError: the configuration lacks what a plan needs.
    """
    shape = architecture_of_config(config)
    quantization = quantization_of(config)
    if not stored:
        return from_architecture(
            name, shape, quantization, format="safetensors", ref=ref, source="config"
        )
    shape = replace(shape, tied=not any(_is_output(each) for each in stored))
    weights = Weights.of(_groups(stored, shape, quantization))
    return PlannedModel(
        name=name,
        architecture=shape,
        quantization=quantization,
        format="safetensors",
        weights=weights,
        source="header",
        ref=ref,
    )


def quantization_of(config: Mapping[str, Any]) -> str:
    """In the planner's words; what isn't quantized is named by its float."""
    inner = config.get("quantization_config") or config.get("compression_config")
    if not isinstance(inner, Mapping):
        return _float(config)
    method = str(inner.get("quant_method", "")).lower()
    if method == "bitsandbytes":
        return "NF4" if inner.get("load_in_4bit") else "BNB8"
    if method == "compressed-tensors":
        return _compressed(inner)
    known = {"fp8": "FP8", "fbgemm_fp8": "FP8", "awq": "AWQ", "gptq": "GPTQ", "mxfp4": "MXFP4"}
    named = str(inner.get("quant_algo", "")).upper()
    return known.get(method) or (named if named in ("FP8", "NVFP4") else "") or _float(config)


def _compressed(inner: Mapping[str, Any]) -> str:
    groups = inner.get("config_groups")
    group = next(iter(groups.values()), None) if isinstance(groups, Mapping) else None
    weights = (group or {}).get("weights") or {}
    bits, floats = weights.get("num_bits", 8), weights.get("type") == "float"
    return {(8, True): "FP8", (8, False): "INT8", (4, True): "NVFP4"}.get((bits, floats), "GPTQ")


def _float(config: Mapping[str, Any]) -> str:
    text = _text(config)
    named = str(text.get("dtype", text.get("torch_dtype", "bfloat16")))
    return {"float16": "F16", "float32": "F32"}.get(named, "BF16")


def _text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = config.get("text_config") or config.get("llm_config")
    return {**config, **inner} if isinstance(inner, Mapping) else config


def architecture_of_config(config: Mapping[str, Any]) -> Architecture:
    """Raises PlanError where it states no layers, widths or heads."""
    found = _Config(_text(config))
    hidden = found.least("hidden_size", "n_embd", "d_model")
    layers = found.least("num_hidden_layers", "n_layer", "n_layers", "num_layers")
    heads = found.number("num_attention_heads", "n_head", "num_heads") or 0
    recurrent = _recurrent(found, layers, hidden)
    if not heads and recurrent is None:
        found.least("num_attention_heads")
    return Architecture(
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=found.number("num_key_value_heads", "num_kv_heads") or _kv_heads(found, heads),
        head_dim=found.number("head_dim") or (hidden // heads if heads else 0),
        feed_forward=_feed_forward(found, layers, hidden) if heads else 0,
        vocabulary=found.least("vocab_size"),
        context=found.number("max_position_embeddings", "n_positions", "max_seq_len") or 0,
        tied=bool(found.values.get("tie_word_embeddings", found.family in _TIED)),
        gated=found.family not in _UNGATED,
        experts=_experts(found, layers),
        latent=_latent(found),
        window=_window(found, layers),
        recurrent=recurrent,
    )


def _kv_heads(found: _Config, heads: int) -> int:
    return 1 if found.values.get("multi_query") else heads


def _expert_count(found: _Config) -> int:
    return found.number("num_local_experts", "n_routed_experts", "num_experts") or 0


def _feed_forward(found: _Config, layers: int, hidden: int) -> int:
    """Of dense layers; 0 where there are none."""
    if _expert_count(found) and not _dense_layers(found, layers):
        return 0
    width = found.number("intermediate_size_mlp", "intermediate_size", "n_inner", "ffn_hidden_size")
    return width or 4 * hidden


def _experts(found: _Config, layers: int) -> Experts | None:
    count = _expert_count(found)
    if not count:
        return None
    width = found.number("moe_intermediate_size", "expert_ffn_hidden_size", "intermediate_size")
    shared = found.number("shared_expert_intermediate_size", "shared_intermediate_size")
    beside = found.number("n_shared_experts", "num_shared_experts") or 0
    if found.family == "llama4_text":
        beside = 1
    return Experts(
        count=count,
        used=found.least("num_experts_per_tok", "num_experts_per_token", "moe_topk", "top_k"),
        width=width or 0,
        shared_width=shared or beside * (width or 0),
        dense_layers=_dense_layers(found, layers),
    )


def _dense_layers(found: _Config, layers: int) -> int:
    """Layers without experts, wherever they lie."""
    values = found.values
    if isinstance(mapped := values.get("moe_layers"), list):
        return layers - len(mapped)
    if isinstance(frequency := values.get("moe_layer_freq"), list):
        return layers - sum(map(bool, frequency))
    first = found.number("first_k_dense_replace") or 0
    step = found.number("decoder_sparse_step", "interleave_moe_layer_step", "expert_layer_period")
    only = values.get("mlp_only_layers")
    dense = len(only) if isinstance(only, list) else 0
    return max(first, dense, layers - layers // step if step and step > 1 else 0)


def _latent(found: _Config) -> Latent | None:
    rank = found.number("kv_lora_rank")
    if not rank:
        return None
    return Latent(
        kv_rank=rank,
        rope_dim=found.number("qk_rope_head_dim") or 0,
        nope_dim=found.number("qk_nope_head_dim") or 0,
        value_dim=found.number("v_head_dim") or 0,
        q_rank=found.number("q_lora_rank"),
    )


def _window(found: _Config, layers: int) -> Window | None:
    values = found.values
    tokens = found.number("sliding_window", "attention_chunk_size")
    if not tokens or values.get("use_sliding_window") is False:
        return None
    kinds = values.get("layer_types")
    if isinstance(kinds, list):
        count = sum("sliding" in str(kind) or "chunked" in str(kind) for kind in kinds)
    else:
        period = found.number("sliding_window_pattern", "_sliding_window_pattern")
        period = period or _WINDOWED_IN_TURN.get(found.family)
        count = layers - layers // period if period else layers
        if values.get("use_sliding_window"):  # Qwen's: those from max_window_layers on
            count = max(layers - (found.number("max_window_layers") or layers), 0)
    return Window(tokens=tokens, layers=count) if count else None


def _recurrent(found: _Config, layers: int, hidden: int) -> Recurrent | None:
    if found.family in _BOTH:
        raise PlanError(
            f"the layers of a {found.family} model attend and recur at once, which plans can't say",
            hint="plan from a GGUF file of it, or for another model",
        )
    count = _recurrent_layers(found, layers)
    if not count:
        return None
    if found.number("linear_num_value_heads"):
        return _delta_net(found, count, hidden)
    if taps := found.number("conv_L_cache"):  # LFM2's short convolutions
        own = hidden * (4 * hidden + taps)
        return Recurrent(layers=count, inner=hidden, state=0, groups=0, conv=taps, parameters=own)
    return _mamba(found, count, hidden)


def _recurrent_layers(found: _Config, layers: int) -> int:
    values = found.values
    for name in ("layer_types", "layers_block_type"):
        if isinstance(kinds := values.get(name), list):
            attending = sum("attention" in str(kind) for kind in kinds)
            linear = sum("linear_attention" in str(kind) for kind in kinds)
            return layers - attending + linear
    if pattern := values.get("hybrid_override_pattern"):
        return str(pattern).count("M")
    if period := found.number("attn_layer_period", "full_attention_interval"):
        return layers - layers // period
    return layers if found.family in ("mamba", "mamba2", "falcon_mamba") else 0


def _delta_net(found: _Config, layers: int, hidden: int) -> Recurrent:
    """Gated delta nets (Qwen3-Next): a matrix of keys by values for each head."""
    keys = found.least("linear_key_head_dim") * found.least("linear_num_key_heads")
    value_heads = found.least("linear_num_value_heads")
    values = found.least("linear_value_head_dim") * value_heads
    taps = found.number("linear_conv_kernel_dim") or 4
    inputs = hidden * (2 * keys + 2 * values + 2 * value_heads)
    own = inputs + (2 * keys + values) * taps + values * hidden
    # Of the convolution's channels, keys count twice: groups of the state's width.
    state = found.least("linear_key_head_dim")
    return Recurrent(
        layers=layers, inner=values, state=state, groups=keys // state, conv=taps, parameters=own
    )


def _mamba(found: _Config, layers: int, hidden: int) -> Recurrent:
    heads = found.number("mamba_num_heads", "mamba_n_heads", "num_heads") or 0
    width = found.number("mamba_head_dim", "mamba_d_head", "head_dim") or 0
    expand = found.number("mamba_expand", "expand") or 2
    inner = found.number("mamba_d_ssm", "intermediate_size" if not heads else "") or (
        heads * width or expand * hidden
    )
    state = found.number("mamba_d_state", "ssm_state_size", "state_size") or 16
    groups = found.number("mamba_n_groups", "n_groups") or 0
    taps = found.number("mamba_d_conv", "conv_kernel", "conv_kernel_size") or 4
    channels = inner + 2 * groups * state
    if heads:  # Mamba 2
        own = hidden * (inner + channels + heads) + channels * (taps + 1) + inner * hidden
    else:
        rank = found.number("time_step_rank", "mamba_dt_rank") or -(-hidden // 16)
        own = 3 * hidden * inner + inner * (2 * rank + 2 * state + state + taps + 3)
    return Recurrent(
        layers=layers, inner=inner, state=state, groups=groups, conv=taps, parameters=own
    )


_OUTPUTS = ("lm_head.weight", "embed_out.weight")
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embeddings.weight", "embed_in.weight")


def _is_output(name: str) -> bool:
    return name.endswith(_OUTPUTS)


def _is_embedding(name: str) -> bool:
    return name.endswith(_EMBEDDINGS)


def _groups(
    stored: Mapping[str, TensorHeader], shape: Architecture, quantization: str
) -> Iterable[WeightGroup]:
    """Each tensor's bytes as stored; packed numbers and their scales under one name."""
    packed: Counter[Role] = Counter()
    for name, tensor in stored.items():
        count, role = _count(tensor), _role(name, tied=shape.tied, layers=shape.layers)
        size = count * DTYPE_BITS[tensor.dtype] // 8
        if tensor.dtype in _WHOLE and not _is_scale(name):
            yield WeightGroup(role, _WHOLE[tensor.dtype], count, size)
        elif tensor.dtype in _NAMES and not _is_scale(name):
            yield WeightGroup(role, _NAMES[tensor.dtype], count, size)
        else:
            packed[role] += size
    yield from _packed(packed, shape, quantization)


def _packed(
    sizes: Mapping[Role, int], shape: Architecture, quantization: str
) -> Iterable[WeightGroup]:
    """Packed bytes don't tell how many weights they are; the shape does."""
    planned = from_architecture("", shape, quantization, format="safetensors").weights
    for role, size in sizes.items():
        kinds = [group for group in planned.groups if group.role == role]
        narrow = [group for group in kinds if group.type not in _WHOLE]
        count = sum(group.parameters for group in narrow)
        scales_alone = all(group.type in _NAMES.values() for group in narrow)
        kind = narrow[0].type if narrow else quantization
        yield WeightGroup(role, kind, 0 if scales_alone else count, size)


def _is_scale(name: str) -> bool:
    return name.endswith(("_scale", "_scale_inv", ".scales", ".qzeros", ".g_idx", "_zero_point"))


def _role(name: str, *, tied: bool, layers: int) -> Role:
    """DeepSeek and GLM count the layers that guess further tokens on from the others."""
    numbered = _LAYER.search(name)
    if any(word in name for word in _OTHER_SENSES) or (numbered and int(numbered[1]) >= layers):
        return "idle"
    if _is_output(name) or (tied and _is_embedding(name)):
        return "head"
    if _is_embedding(name):
        return "lookup"
    return "expert" if ".experts." in name else "dense"


def _count(tensor: TensorHeader) -> int:
    count = 1
    for extent in tensor.shape:
        count *= extent
    return count
