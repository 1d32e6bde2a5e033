"""Writes small GGUF files, well-formed unless told otherwise."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

U32, I32, F32, BOOL, STRING, ARRAY, U64 = 4, 5, 6, 7, 8, 9, 10
_FORMATS = {0: "B", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q"}


@dataclass(frozen=True)
class Pair:
    key: str
    kind: int
    value: Any
    element: int = U32


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    type_id: int
    size_bytes: int


MODEL_PAIRS = (
    Pair("general.architecture", STRING, "llama"),
    Pair("general.name", STRING, "Tiny"),
    Pair("llama.block_count", U32, 2),
    Pair("llama.context_length", U32, 512),
    Pair("llama.embedding_length", U32, 64),
    Pair("llama.attention.head_count", U32, 4),
    Pair("llama.attention.head_count_kv", U32, 2),
    Pair("tokenizer.ggml.tokens", ARRAY, ("a", "bc", "déf"), STRING),
    Pair("tokenizer.ggml.scores", ARRAY, (0.5, -1.0, 2.0), F32),
    Pair("tokenizer.chat_template", STRING, "{{ messages }}"),
    Pair("general.flag", BOOL, True),
)
MODEL_TENSORS = (
    Tensor("token_embd.weight", (64, 3), 1, 64 * 3 * 2),
    Tensor("blk.0.attn_q.weight", (64, 64), 2, 64 * 64 // 32 * 18),
    Tensor("output_norm.weight", (5,), 0, 20),
)


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(kind: int, value: Any) -> bytes:
    return text(value) if kind == STRING else struct.pack(f"<{_FORMATS[kind]}", value)


def _array(element: int, values: Sequence[Any]) -> bytes:
    head = struct.pack("<IQ", element, len(values))
    return head + b"".join(_value(element, value) for value in values)


def pair(item: Pair) -> bytes:
    array = item.kind == ARRAY
    body = _array(item.element, item.value) if array else _value(item.kind, item.value)
    return text(item.key) + struct.pack("<I", item.kind) + body


def gguf(
    pairs: Iterable[Pair] = MODEL_PAIRS,
    tensors: Iterable[Tensor] = MODEL_TENSORS,
    *,
    version: int = 3,
    alignment: int = 32,
    fill: int = 0,
) -> bytes:
    """A whole file; `fill` is the byte its weights are made of."""
    pairs, tensors = list(pairs), list(tensors)
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs))
    head += b"".join(pair(item) for item in pairs)
    data = b""
    for tensor in tensors:
        data += bytes(-len(data) % alignment)
        head += text(tensor.name) + struct.pack("<I", len(tensor.shape))
        head += struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape)
        head += struct.pack("<IQ", tensor.type_id, len(data))
        data += bytes([fill]) * tensor.size_bytes
    return head + bytes(-len(head) % alignment) + data


def large_model(weights: int) -> bytes:
    """A model of `weights` random-looking bytes: large enough to be cut while it travels."""
    tensors = (Tensor("token_embd.weight", (weights // 4,), 0, weights),)
    return gguf(MODEL_PAIRS, tensors, fill=0x5A)
