"""How much cache and how long a context, where the options leave it open."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.engines.vllm.directory import context_of
from pilotlight.engines.vllm.options import Options
from pilotlight.store.checkpoint import Checkpoint

CPU_CONTEXT = 4096
"""vLLM would take the model's whole context, whose cache a CPU's memory rarely has room for."""

CPU_FULL_REQUESTS = 4
"""Requests of full length that the default cache holds; blocks are shared, so many short ones."""

CPU_BLOCK = 128

_BYTES = {"float32": 4, "float": 4, "float64": 8}
_CACHE_BYTES = {"fp8": 1.0, "int8": 1.0, "int4": 0.5, "nvfp4": 0.5625, "turboquant": 0.5}


@dataclass(frozen=True, slots=True)
class Sizing:
    """`max_model_len` and `kv_bytes` are None where vLLM decides."""

    context: int | None
    """What one request may use."""

    max_model_len: int | None
    kv_bytes: int | None


def size(options: Options, checkpoint: Checkpoint, *, gpu: bool) -> Sizing:
    own = context_of(checkpoint)
    limit = options.max_model_len
    if limit is None and not gpu and own and own > CPU_CONTEXT:
        limit = CPU_CONTEXT
    context = limit or own
    return Sizing(context, limit, _kv_bytes(options, checkpoint, context, gpu))


def _kv_bytes(
    options: Options, checkpoint: Checkpoint, context: int | None, gpu: bool
) -> int | None:
    if options.kv_cache_memory_bytes is not None:
        return options.kv_cache_memory_bytes
    if gpu or options.gpu_memory_utilization is not None:
        return None
    # Never left to vLLM on a CPU: it would take nine tenths of the machine, or refuse to start
    # where they aren't free.
    requests = min(options.max_num_seqs, CPU_FULL_REQUESTS)
    blocks = -(-(context or CPU_CONTEXT) // CPU_BLOCK) * requests + 1
    return round(blocks * CPU_BLOCK * token_bytes(options, checkpoint))


def token_bytes(options: Options, checkpoint: Checkpoint) -> float:
    """One token's keys and values in all layers; every layer counts as one of full attention."""
    layers = checkpoint.number("num_hidden_layers", "n_layer") or 0
    each = _cache_bytes(options, checkpoint)
    if latent := checkpoint.number("kv_lora_rank"):
        return layers * (latent + (checkpoint.number("qk_rope_head_dim") or 0)) * each
    heads = checkpoint.number("num_attention_heads", "n_head") or 1
    width = checkpoint.number("hidden_size", "n_embd") or 0
    head = checkpoint.number("head_dim") or width // heads
    return layers * 2 * (checkpoint.number("num_key_value_heads") or heads) * head * each


def _cache_bytes(options: Options, checkpoint: Checkpoint) -> float:
    stated = options.kv_cache_dtype or "auto"
    for prefix, size in _CACHE_BYTES.items():
        if stated.startswith(prefix):
            return size
    return float(value_bytes(options, checkpoint))


def value_bytes(options: Options, checkpoint: Checkpoint) -> int:
    """Of one weight or activation; vLLM's ``auto`` halves what is stored in 32 bits."""
    if options.dtype in (None, "auto"):
        return 2
    return _BYTES.get(str(options.dtype), 2)
