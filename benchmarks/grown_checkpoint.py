"""A directory of safetensors of a larger model's shape, with random weights, for vLLM.

What benchmarks.grown_gguf is for llama.cpp: a small model's tokenizer and template around weights
that take as many bytes and as much arithmetic as the real ones.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from pilotlight.calibration import random_weights
from pilotlight.catalog.architecture import Architecture
from pilotlight.planner.tensors import Tensor, tensors

TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")
BF16_BYTES = 2
_ONE = (0x3F80).to_bytes(BF16_BYTES, "little")

_OUTSIDE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_IN_LAYER = {
    "attn_norm.weight": "input_layernorm",
    "attn_q.weight": "self_attn.q_proj",
    "attn_k.weight": "self_attn.k_proj",
    "attn_v.weight": "self_attn.v_proj",
    "attn_output.weight": "self_attn.o_proj",
    "ffn_norm.weight": "post_attention_layernorm",
    "ffn_gate.weight": "mlp.gate_proj",
    "ffn_up.weight": "mlp.up_proj",
    "ffn_down.weight": "mlp.down_proj",
}
"""llama.cpp's names and the hub's, of a dense Llama."""


def write(tokenizer_of: Path, directory: Path, architecture: Architecture) -> int:
    """`tokenizer_of` is a directory of a small model. Returns the weights' size in bytes."""
    directory.mkdir(parents=True)
    for name in TOKENIZER:
        shutil.copyfile(tokenizer_of / name, directory / name)
    small = json.loads((tokenizer_of / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(small | _numbers(architecture)))
    return _weights(directory / "model.safetensors", tensors(architecture))


def _numbers(architecture: Architecture) -> Mapping[str, Any]:
    return {
        "num_hidden_layers": architecture.layers,
        "hidden_size": architecture.hidden,
        "num_attention_heads": architecture.heads,
        "num_key_value_heads": architecture.kv_heads,
        "head_dim": architecture.head_dim,
        "intermediate_size": architecture.feed_forward,
        "vocab_size": architecture.vocabulary,
        "max_position_embeddings": architecture.context,
        "tie_word_embeddings": architecture.tied,
    }


def _weights(path: Path, stored: Sequence[Tensor]) -> int:
    """https://huggingface.co/docs/safetensors: length, JSON header, bytes."""
    header: dict[str, Any] = {}
    end = 0
    for tensor in stored:
        start, end = end, end + BF16_BYTES * prod(tensor.shape)
        header[_name(tensor)] = {
            "dtype": "BF16",
            "shape": list(reversed(tensor.shape)),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in stored:
            if len(tensor.shape) == 1:
                file.write(_ONE * tensor.shape[0])
                continue
            tile = random_weights.tile("BF16", tensor.shape[0])
            for piece in random_weights.repeated(tile, BF16_BYTES * prod(tensor.shape)):
                file.write(piece)
    return path.stat().st_size


def _name(tensor: Tensor) -> str:
    if tensor.layer is None:
        return _OUTSIDE[tensor.name]
    return f"model.layers.{tensor.layer}.{_IN_LAYER[tensor.kind]}.weight"
