"""A whole BERT that ranks, with random weights: small enough to write, and llama.cpp runs it."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

from pilotlight.core import ModelFiles, ModelRef

WIDTH, INNER, CONTEXT = 32, 64, 256
_U32, _F32, _BOOL, _STRING, _ARRAY, _I32 = 4, 6, 7, 8, 9, 5
# WPM's own numbers for its special tokens are 100 to 103.
_SPECIAL = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
# In the file a word's start is marked, as the conversion scripts do.
_WORDS = ("\u2581flame", "\u2581fish", "\u2581water", "\u2581burns", "\u2581what", "\u2581swims")


def write_reranker(path: Path, *, head: bool = True) -> ModelFiles:
    """Without a `head` it is an encoder that was never taught to rank."""
    weights = dict(_tensors(head))
    pairs = list(_metadata())
    body = b"GGUF" + struct.pack("<IQQ", 3, len(weights), len(pairs)) + b"".join(pairs)
    data = b""
    for name, (shape, values) in weights.items():
        body += _text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        body += struct.pack("<IQ", 0, len(data))
        data += struct.pack(f"<{len(values)}f", *values)
        data += bytes(-len(data) % 32)
    path.write_bytes(body + bytes(-len(body) % 32) + data)
    return ModelFiles(ModelRef("file", str(path)), path, path.stat().st_size)


def _tokens() -> list[str]:
    tokens = [_SPECIAL.get(number, f"[unused{number}]") for number in range(104)]
    return [*tokens, *_WORDS, *(f"\u2581{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]


def _tensors(head: bool) -> Iterator[tuple[str, tuple[tuple[int, ...], list[float]]]]:
    dice = random.Random(7)

    def drawn(*shape: int) -> tuple[tuple[int, ...], list[float]]:
        count = 1
        for size in shape:
            count *= size
        return shape, [dice.gauss(0, 0.5) for _ in range(count)]

    yield "token_embd.weight", drawn(WIDTH, len(_tokens()))
    yield "token_types.weight", drawn(WIDTH, 2)
    yield "position_embd.weight", drawn(WIDTH, CONTEXT)
    for name in ("token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"):
        yield f"{name}.weight", ((WIDTH,), [1.0] * WIDTH)
        yield f"{name}.bias", ((WIDTH,), [0.0] * WIDTH)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        yield f"blk.0.{name}.weight", drawn(WIDTH, WIDTH)
        yield f"blk.0.{name}.bias", drawn(WIDTH)
    yield "blk.0.ffn_up.weight", drawn(WIDTH, INNER)
    yield "blk.0.ffn_up.bias", drawn(INNER)
    yield "blk.0.ffn_down.weight", drawn(INNER, WIDTH)
    yield "blk.0.ffn_down.bias", drawn(WIDTH)
    if head:
        yield "cls.weight", drawn(WIDTH, WIDTH)
        yield "cls.bias", drawn(WIDTH)
        yield "cls.output.weight", drawn(WIDTH, 1)
        yield "cls.output.bias", drawn(1)


def _metadata() -> Iterator[bytes]:
    numbers = {
        "block_count": 1, "context_length": CONTEXT, "embedding_length": WIDTH,
        "feed_forward_length": INNER, "attention.head_count": 2, "pooling_type": 4,
    }  # fmt: skip
    yield _text("general.architecture") + struct.pack("<I", _STRING) + _text("bert")
    for name, number in numbers.items():
        yield _text(f"bert.{name}") + struct.pack("<II", _U32, number)
    yield _text("bert.attention.layer_norm_epsilon") + struct.pack("<If", _F32, 1e-12)
    yield _text("bert.attention.causal") + struct.pack("<I?", _BOOL, False)
    yield _text("tokenizer.ggml.model") + struct.pack("<I", _STRING) + _text("bert")
    yield _text("tokenizer.ggml.token_type_count") + struct.pack("<II", _U32, 2)
    tokens = _tokens()
    head = struct.pack("<IIQ", _ARRAY, _STRING, len(tokens))
    yield _text("tokenizer.ggml.tokens") + head + b"".join(map(_text, tokens))
    kinds = [3 if number in _SPECIAL else 1 for number in range(len(tokens))]
    head = struct.pack("<IIQ", _ARRAY, _I32, len(tokens))
    yield _text("tokenizer.ggml.token_type") + head + struct.pack(f"<{len(kinds)}i", *kinds)


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()
