"""LoRA adapters as PEFT saves them, of random numbers: right headers, and answers of their own."""

from __future__ import annotations

import json
import random
import struct
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.store.checkpoint import size_bytes
from pilotlight.store.safetensors import read_tensors

Shapes = Mapping[str, tuple[int, ...]]

LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def config(rank: int, **more: Any) -> dict[str, Any]:
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "trainer/base",
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": list(LAYERS),
        "bias": "none",
        "init_lora_weights": True,
        "modules_to_save": None,
        "use_dora": False,
        **more,
    }


def linear_layers(model: Path) -> Shapes:
    """A model's own linear layers in its transformer blocks, outputs first."""
    return {
        name.removesuffix(".weight"): tensor.shape
        for name, tensor in read_tensors(model / "model.safetensors").items()
        if name.removesuffix(".weight").endswith(LAYERS)
    }


def halves(shapes: Shapes, rank: int) -> dict[str, tuple[int, ...]]:
    """A LoRA's tensors over modules of `shapes`."""
    found: dict[str, tuple[int, ...]] = {}
    for module, (outputs, inputs) in shapes.items():
        found[f"base_model.model.{module}.lora_A.weight"] = (rank, inputs)
        found[f"base_model.model.{module}.lora_B.weight"] = (outputs, rank)
    return found


def write_lora(
    path: Path, tensors: Shapes, *, seed: int = 0, scale: float = 0.0, rank: int = 4, **more: Any
) -> ModelFiles:
    """An adapter of `tensors` with numbers of up to `scale`; `more` goes into its configuration."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "adapter_config.json").write_text(json.dumps(config(rank, **more)))
    header: dict[str, Any] = {}
    numbers = random.Random(seed)
    blocks = []
    at = 0
    for name, shape in tensors.items():
        block = array("f", _numbers(shape, numbers, scale)).tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(block)]}
        at += len(block)
        blocks.append(block)
    head = json.dumps(header).encode()
    body = struct.pack("<Q", len(head)) + head + b"".join(blocks)
    (path / "adapter_model.safetensors").write_bytes(body)
    return ModelFiles(ModelRef("file", str(path)), path, size_bytes(path))


def _numbers(shape: tuple[int, ...], numbers: random.Random, scale: float) -> Iterator[float]:
    count = 1
    for extent in shape:
        count *= extent
    return (scale * (2 * numbers.random() - 1) for _ in range(count))
