"""Writes GGUF files with tensors: LoRA adapters that fit a model, or fail to on purpose."""

from __future__ import annotations

import random
import struct
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.store.gguf import GgufHeader

Value = str | int | float | bool | list[int]

F32_TYPE = 0
_U32, _F32, _BOOL, _STRING, _ARRAY = 4, 6, 7, 8, 9
_ALIGNMENT = 32

LORA: Mapping[str, Value] = {
    "general.type": "adapter",
    "general.architecture": "llama",
    "adapter.type": "lora",
    "adapter.lora.alpha": 8.0,
}


@dataclass(frozen=True, slots=True)
class Weights:
    """A tensor to write, its shape innermost first; `data` as its type stores it."""

    shape: tuple[int, ...]
    data: bytes
    type_id: int = F32_TYPE


def zeros(*shape: int) -> Weights:
    return Weights(shape, bytes(4 * prod(shape)))


def write(path: Path, metadata: Mapping[str, Value], tensors: Mapping[str, Weights]) -> ModelFiles:
    """Exactly this, whether it makes sense or not."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(_text(key) + _value(value) for key, value in metadata.items())
    data = b""
    for name, weights in tensors.items():
        data += bytes(-len(data) % _ALIGNMENT)
        head += _text(name) + struct.pack("<I", len(weights.shape))
        head += struct.pack(f"<{len(weights.shape)}QIQ", *weights.shape, weights.type_id, len(data))
        data += weights.data
    path.write_bytes(head + bytes(-len(head) % _ALIGNMENT) + data)
    return ModelFiles(ModelRef("file", str(path)), path, path.stat().st_size)


def write_lora(
    path: Path,
    model: GgufHeader,
    *,
    seed: int,
    rank: int = 4,
    strength: float = 1.0,
    parts: Iterable[str] = ("attn_q", "attn_v", "ffn_down"),
) -> ModelFiles:
    """An adapter over `parts` of every layer of `model`, random and the same for the same `seed`.

    What it adds to a part's output is about `strength` times as large as its input.
    """
    dice = random.Random(seed)
    tensors: dict[str, Weights] = {}
    for tensor in model.tensors:
        if tensor.name.endswith(tuple(f".{part}.weight" for part in parts)):
            width, height = tensor.shape
            tensors[f"{tensor.name}.lora_a"] = _drawn(dice, width**-0.5, width, rank)
            tensors[f"{tensor.name}.lora_b"] = _drawn(dice, strength * rank**-0.5, rank, height)
    about = {**LORA, "general.architecture": model.architecture, "adapter.lora.alpha": float(rank)}
    return write(path, about, tensors)


def _drawn(dice: random.Random, size: float, *shape: int) -> Weights:
    return Weights(shape, array("f", (dice.gauss(0, size) for _ in range(prod(shape)))).tobytes())


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + _text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", _BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", _U32, value)
    if isinstance(value, float):
        return struct.pack("<If", _F32, value)
    return struct.pack("<IIQ", _ARRAY, _U32, len(value)) + struct.pack(f"<{len(value)}I", *value)
