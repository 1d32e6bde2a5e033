"""Directories that look like models as far as their headers go."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pilotlight.core import ModelFiles, ModelRef

GIB = 2**30
SIZES = {"F32": 4, "BF16": 2, "I8": 1}

LLAMA: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 8192, "vocab_size": 1000,
}  # fmt: skip
BERT: Mapping[str, Any] = {
    "architectures": ["BertModel"], "model_type": "bert", "torch_dtype": "float32",
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 512, "vocab_size": 1000,
}  # fmt: skip
TOOLS = "{% for t in tools %}<tool_call>{% endfor %}{{ messages }}<think>"


def safetensors(dtype: str = "BF16", *shape: int) -> bytes:
    """One tensor, its numbers all zero."""
    data = bytes(SIZES[dtype] * math.prod(shape))
    tensor = {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}
    header = json.dumps({"__metadata__": {"format": "pt"}, "w": tensor}).encode()
    return struct.pack("<Q", len(header)) + header + data


def write(directory: Path, config: Mapping[str, Any] = LLAMA, **files: bytes | str) -> ModelFiles:
    """A directory with `config`, weights and `files` (their dots written as two underscores)."""
    directory.mkdir(exist_ok=True)
    contents: dict[str, bytes | str] = {
        "config.json": json.dumps(config),
        "model.safetensors": safetensors("BF16", 1000, 64),
    }
    contents |= {name.replace("__", "."): content for name, content in files.items()}
    for name, content in contents.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    size_bytes = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    return ModelFiles(ModelRef("file", str(directory)), directory, size_bytes)
