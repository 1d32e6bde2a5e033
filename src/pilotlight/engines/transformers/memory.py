"""Memory one replica will take: from the directory's headers, the options and the machine.

PyTorch asks for what it needs as it goes, so this is its peak: every answer at its full
context, the largest piece of a prompt in hand. The constants are measured; see the tests.
"""

from __future__ import annotations

from pilotlight.core import Footprint
from pilotlight.engines.transformers.options import Options
from pilotlight.engines.transformers.sizing import Sizing
from pilotlight.machine import Gpu, Machine
from pilotlight.store.checkpoint import Checkpoint
from pilotlight.store.safetensors import bytes_of

PROCESS_BYTES = 500 * 2**20
"""Python, torch and transformers with nothing loaded."""

PARKED_BYTES = 400 * 2**20
"""What of that is there before a model is; measured."""

CUDA_PROCESS_BYTES = 1800 * 2**20
"""The same with CUDA's libraries and driver."""

CUDA_CONTEXT_BYTES = 500 * 2**20
"""A context with its kernels, on the device."""

TOKEN_BYTES = 1200
"""One entry of the vocabulary, in the tokenizer's maps and Python's; measured."""

F32 = 4
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_STORED = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
_BITS = {"bnb-4bit": 4.5, "bnb-8bit": 8.0}
"""Per weight, with the scales."""

_HOLES = 1.25
"""What is asked of the allocator for each byte in use, by caches that grow by copies; measured."""

_SCORES = 6
"""Copies of a step's scores that sampling keeps at once: raw, penalized, sorted and their like."""

_SQUARE = 2
"""Attention scores and their softmax, where a kernel writes them down (eager)."""


def predict(
    checkpoint: Checkpoint, options: Options, sizing: Sizing, machine: Machine
) -> Footprint:
    gpus = used_gpus(options, machine)
    number_bytes = _BYTES[dtype_of(checkpoint, options)]
    parts = {
        "weights": _weights_bytes(checkpoint, options, number_bytes),
        "kv": _kv_bytes(checkpoint, sizing, options, number_bytes),
        "compute": _compute_bytes(checkpoint, sizing, options, number_bytes),
        "tokenizer": (checkpoint.number("vocab_size") or 0) * TOKEN_BYTES,
        "process": CUDA_PROCESS_BYTES if gpus else PROCESS_BYTES,
    }
    moved = parts["weights"] + parts["kv"] + parts["compute"] if gpus else 0
    if moved:
        parts["offloaded"] = -moved
    return Footprint(
        ram_bytes=sum(parts.values()),
        gpu_bytes={f"CUDA{gpu.index}": moved // len(gpus) + CUDA_CONTEXT_BYTES for gpu in gpus},
        parts={name: count for name, count in parts.items() if count},
    )


def used_gpus(options: Options, machine: Machine) -> tuple[Gpu, ...]:
    if options.device == "cpu" or not machine.gpus:
        return ()
    if options.device_map is not None:
        return machine.gpus
    _, _, number = options.device.partition(":")
    return machine.gpus[int(number or 0) :][:1]


def dtype_of(checkpoint: Checkpoint, options: Options) -> str:
    """What it computes with, in torch's words; auto is what the weights are stored in."""
    if options.dtype != "auto":
        return options.dtype
    if checkpoint.dtype in _BYTES:
        return checkpoint.dtype
    stored = max(checkpoint.elements, key=lambda name: checkpoint.elements[name], default="F32")
    return _STORED.get(stored, "float32")


def _weights_bytes(checkpoint: Checkpoint, options: Options, number_bytes: int) -> int:
    """Stored floats are turned into the numbers that are computed with; the rest stays."""
    if not checkpoint.elements:
        return checkpoint.weights_bytes
    floats = sum(count for name, count in checkpoint.elements.items() if name in _STORED)
    others = {n: count for n, count in checkpoint.elements.items() if n not in _STORED}
    if options.quantization is not None:
        return round(floats * _BITS[options.quantization] / 8) + bytes_of(others)
    return floats * number_bytes + bytes_of(others)


def _kv_bytes(checkpoint: Checkpoint, sizing: Sizing, options: Options, number_bytes: int) -> int:
    """Keys and values of all answers, and one layer of them twice while it grows by a copy."""
    if not sizing.generates:
        return 0
    layers = checkpoint.number("num_hidden_layers", "n_layer", "num_layers") or 0
    columns = _columns(checkpoint, layers, sizing.context)
    copied = max(columns, default=0)
    per_column = _values_per_token(checkpoint) * number_bytes * options.parallel
    return round((sum(columns) + copied) * per_column * _HOLES)


def _columns(checkpoint: Checkpoint, layers: int, context: int) -> list[int]:
    """What each layer keeps of an answer: all of it, or its window."""
    kinds = checkpoint.text.get("layer_types")
    window = checkpoint.number("sliding_window")
    if not isinstance(kinds, list) or not window:
        return [context] * layers
    sliding = ["sliding" in str(kind) for kind in kinds[:layers]]
    sliding += [False] * (layers - len(sliding))
    return [min(context, window) if slides else context for slides in sliding]


def _values_per_token(checkpoint: Checkpoint) -> int:
    """Of one layer, keys and values together; a compressed cache is kept spelled out."""
    heads = checkpoint.number("num_attention_heads", "n_head", "num_heads") or 0
    if checkpoint.number("kv_lora_rank"):
        rope = checkpoint.number("qk_rope_head_dim") or 0
        keys = (checkpoint.number("qk_nope_head_dim") or 0) + rope
        return heads * (keys + (checkpoint.number("v_head_dim") or 0))
    width = checkpoint.number("hidden_size", "n_embd", "d_model") or 0
    head = checkpoint.number("head_dim", "d_kv") or (width // heads if heads else 0)
    return 2 * head * (checkpoint.number("num_key_value_heads") or heads)


def _compute_bytes(
    checkpoint: Checkpoint, sizing: Sizing, options: Options, number_bytes: int
) -> int:
    """The largest of a prompt's piece and a step of all answers; embeddings read a text at once."""
    width = checkpoint.number("hidden_size", "n_embd", "d_model") or 0
    inner = checkpoint.number("intermediate_size", "n_inner", "d_ff") or 4 * width
    heads = checkpoint.number("num_attention_heads", "n_head", "num_heads") or 0
    piece = min(options.prefill_chunk, sizing.context) if not sizing.embeds else sizing.context
    states = piece * (3 * inner + 6 * width) * F32
    square = piece * sizing.context * number_bytes
    if options.attn_implementation == "eager":
        square += piece * sizing.context * heads * F32 * _SQUARE
    vocabulary = checkpoint.number("vocab_size") or 0
    scores = _SCORES * options.parallel * vocabulary * F32 if sizing.generates else 0
    return states + square + scores
