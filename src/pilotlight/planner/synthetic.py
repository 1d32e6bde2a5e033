"""What a file would say that nobody has yet: the header and the directory of a planned model.

Engines predict their memory from files; so they answer for a row of the catalog as well.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

from pilotlight.catalog.architecture import Architecture
from pilotlight.planner import mixes
from pilotlight.planner.model import PlannedModel
from pilotlight.planner.tensors import attending, tensors, windowed
from pilotlight.planner.weights import METADATA_BYTES
from pilotlight.store.checkpoint import Checkpoint
from pilotlight.store.gguf import ArrayInfo, GgufHeader, TensorInfo
from pilotlight.store.gguf_reader import Numbers, Scalar

FAMILY = "llama"
"""Its rules are the plainest; all else the metadata says explicitly."""

_STORED = {"F32": "F32", "F16": "F16", "BF16": "BF16", "FP8": "F8_E4M3"}


def header_of(model: PlannedModel) -> GgufHeader:
    """The model's own header where it was read, else the one its file would have."""
    return model.header or _header(model.architecture, model.quantization)


@lru_cache(maxsize=1024)
def _header(architecture: Architecture, mix: str) -> GgufHeader:
    kinds = mixes.types(architecture, mix)
    infos, offset = [], 0
    for tensor in tensors(architecture):
        kind = kinds[tensor.name]
        size = mixes.stored_bytes(tensor, kind)
        infos.append(TensorInfo(tensor.name, tensor.shape, 0, kind, size, offset))
        offset += size
    rows = architecture.vocabulary
    arrays = {
        "tokenizer.ggml.tokens": ArrayInfo("string", rows),
        "tokenizer.ggml.merges": ArrayInfo("string", rows),
    }
    data_offset = rows * METADATA_BYTES
    return GgufHeader(
        3, _metadata(architecture), arrays, tuple(infos), data_offset, data_offset + offset
    )


def _metadata(shape: Architecture) -> dict[str, Scalar | Numbers]:
    found: dict[str, Any] = {
        "block_count": shape.layers,
        "context_length": shape.context,
        "embedding_length": shape.hidden,
        "feed_forward_length": shape.feed_forward,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": _kv_heads(shape),
        "attention.key_length": shape.head_dim,
        "attention.value_length": shape.value_dim or shape.head_dim,
        **_mixture(shape),
        **_cached(shape),
    }
    return {"general.architecture": FAMILY} | {
        f"{FAMILY}.{key}": value for key, value in found.items()
    }


def _kv_heads(shape: Architecture) -> int | tuple[int, ...]:
    """By layer where some recur: those have none."""
    heads = 1 if shape.latent else shape.kv_heads
    if shape.recurrent is None:
        return heads
    return tuple(heads if attends else 0 for attends in attending(shape))


def _mixture(shape: Architecture) -> dict[str, Any]:
    if (experts := shape.experts) is None:
        return {}
    return {
        "expert_count": experts.count,
        "expert_used_count": experts.used,
        "expert_feed_forward_length": experts.width,
        "expert_shared_feed_forward_length": experts.shared_width,
        "leading_dense_block_count": experts.dense_layers,
    }


def _cached(shape: Architecture) -> dict[str, Any]:
    """What decides how much of each token is kept, beyond heads and widths."""
    found: dict[str, Any] = {}
    if window := shape.window:
        found["attention.sliding_window"] = window.tokens
        found["attention.sliding_window_pattern"] = windowed(shape)
    if latent := shape.latent:
        found["attention.key_length"] = latent.kv_rank + latent.rope_dim
        found["attention.value_length"] = latent.kv_rank
        found["attention.kv_lora_rank"] = latent.kv_rank
        found["rope.dimension_count"] = latent.rope_dim
        if latent.q_rank is not None:
            found["attention.q_lora_rank"] = latent.q_rank
        found["attention.key_length_mla"] = latent.nope_dim + latent.rope_dim
        found["attention.value_length_mla"] = latent.value_dim
    if recurrent := shape.recurrent:
        found["ssm.conv_kernel"] = recurrent.conv
        found["ssm.inner_size"] = recurrent.inner
        found["ssm.state_size"] = recurrent.state
        found["ssm.group_count"] = recurrent.groups
    return found


@lru_cache(maxsize=1024)
def checkpoint_of(model: PlannedModel) -> Checkpoint:
    """As the engines that read safetensors see the model; the directory is its name alone."""
    elements: Counter[str] = Counter()
    for group in model.weights.groups:
        stored = _STORED.get(group.type)
        # What is packed counts as bytes: an engine leaves it as it is.
        elements[stored or "U8"] += group.parameters if stored else group.bytes
    return Checkpoint(
        directory=Path(model.name),
        config=_config(model.architecture),
        elements=elements,
        weights_bytes=model.weights.total_bytes,
        chat_template=None,
        modules=(),
    )


def _config(shape: Architecture) -> dict[str, Any]:
    windows = windowed(shape)
    found: dict[str, Any] = {
        "architectures": ["PlannedForCausalLM"],
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.feed_forward,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.context,
        "sliding_window": shape.window.tokens if shape.window else None,
        "layer_types": ["sliding_attention" if each else "full_attention" for each in windows],
    }
    if latent := shape.latent:
        found["kv_lora_rank"] = latent.kv_rank
        found["qk_rope_head_dim"] = latent.rope_dim
        found["qk_nope_head_dim"] = latent.nope_dim
        found["v_head_dim"] = latent.value_dim
    return found
