"""Hugging Face directories as small as they can be: right headers, hardly any weights."""

from __future__ import annotations

import json
import struct
from math import prod
from pathlib import Path
from typing import Any

from pilotlight.core import ModelFiles, ModelRef

GIB = 2**30

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
    "torch_dtype": "bfloat16",
}
TEMPLATE = "{{ messages }}"


def write_safetensors(path: Path, tensors: dict[str, tuple[str, tuple[int, ...], int]]) -> None:
    """Tensors as (type, shape, bytes of one value); the values are zeros."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (kind, shape, size) in tensors.items():
        end = at + size * prod(shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, end]}
        at = end
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(at))


def write_model(
    path: Path,
    config: dict[str, Any] | None = None,
    *,
    template: str | None = TEMPLATE,
    tensors: dict[str, tuple[str, tuple[int, ...], int]] | None = None,
) -> ModelFiles:
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(config or LLAMA))
    told = {"chat_template": template} if template else {}
    (path / "tokenizer_config.json").write_text(json.dumps(told))
    weights = {"a": ("BF16", (16, 4), 2)} if tensors is None else tensors
    if weights:
        write_safetensors(path / "model.safetensors", weights)
    return ModelFiles(ModelRef("file", str(path)), path, 1)
