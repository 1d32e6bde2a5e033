"""What llama.cpp keeps of the tokens so far, layer by layer: keys and values, or a state.

Follows llama-kv-cache.cpp, llama-kv-cache-iswa.cpp, llama-memory-recurrent.cpp
and the hyper-parameters they read (llama-hparams.cpp). Where a header leaves a
layer's kind open, it counts as full attention: too much rather than too little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pilotlight.engines.llamacpp.options import Options
from pilotlight.engines.llamacpp.sizing import CONTEXT_STEP, ENCODERS, Sizing
from pilotlight.store.ggml_types import GGML_TYPES
from pilotlight.store.gguf import GgufHeader, PerLayer

F32 = 4
RECURRENT = frozenset({"mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"})
DIFFUSION = frozenset({"dream", "llada", "llada-moe", "rnd1"})
BOTH = frozenset({"falcon-h1"})
"""Architectures whose every layer attends and recurs."""

SWA_PATTERNS: Mapping[str, int] = {
    "gemma2": 2, "gemma3": 6, "gemma3n": 5, "cohere2": 4, "cohere2moe": 4, "gpt-oss": 2,
    "exaone4": 4, "exaone-moe": 4, "olmo2": 4, "afmoe": 4, "smallthinker": 4, "laguna": 4,
    "mellum": 4, "plamo3": 8,
}  # fmt: skip
"""Of so many layers in a row all but one are windowed, where the header doesn't say."""

_BYTES = {kind.name.lower(): kind.block_bytes / kind.block_weights for kind in GGML_TYPES.values()}


@dataclass(frozen=True, slots=True)
class LayerCache:
    """Bytes of one layer for all slots: `rewindable` ones never need a snapshot."""

    rewindable_bytes: int
    snapshot_bytes: int

    @property
    def bytes(self) -> int:
        return self.rewindable_bytes + self.snapshot_bytes


def layers(header: GgufHeader, options: Options, sizing: Sizing) -> tuple[LayerCache, ...]:
    """One entry a layer, all slots together."""
    count = header.block_count or 0
    if header.architecture in ENCODERS | DIFFUSION:
        return (LayerCache(0, 0),) * count
    return tuple(_layer(header, options, sizing, index) for index in range(count))


def _layer(header: GgufHeader, options: Options, sizing: Sizing, index: int) -> LayerCache:
    architecture = header.architecture
    state = state_bytes(header) * sizing.slots if recurs(header, index) else 0
    if architecture in RECURRENT or (state and architecture not in BOTH):
        return LayerCache(0, state)
    if _shares(header, index):
        return LayerCache(0, 0)
    windowed = is_windowed(header, index) and not options.swa_full
    per_token = _token_bytes(header, options, index)
    cells = _window_cells(header, options, sizing) if windowed else sizing.n_ctx
    kept = round(per_token * cells)
    return LayerCache(0, state + kept) if windowed else LayerCache(kept, state)


def _token_bytes(header: GgufHeader, options: Options, index: int) -> float:
    """One token's key and value; a latent-attention (MLA) file caches the key alone."""
    heads = _at(header.head_count_kv, index)
    swa = "_swa" if is_windowed(header, index) else ""
    key = header.number(f"attention.key_length{swa}") or header.key_length or 0
    value = header.number(f"attention.value_length{swa}") or header.value_length or 0
    if header.number("attention.key_length_mla"):
        value = 0
    key_size = _BYTES[options.cache_type_k or "f16"]
    value_size = _BYTES[options.cache_type_v or "f16"]
    return heads * (key * key_size + value * value_size)


def _window_cells(header: GgufHeader, options: Options, sizing: Sizing) -> int:
    """The window and a micro-batch, rounded up; a cache of one buffer holds every slot's window."""
    window = header.sliding_window or 0
    if options.kv_unified:
        return min(sizing.n_ctx, _round(window * sizing.slots + sizing.ubatch))
    own = sizing.n_ctx // sizing.slots
    return sizing.slots * min(own, _round(window + sizing.ubatch))


def _round(cells: int) -> int:
    return -(-cells // CONTEXT_STEP) * CONTEXT_STEP


def is_windowed(header: GgufHeader, index: int) -> bool:
    if not header.sliding_window:
        return False
    key = f"{header.architecture}.attention.sliding_window_pattern"
    stated = header.metadata.get(key)
    if isinstance(stated, tuple):
        return bool(stated[index]) if index < len(stated) else False
    period = int(stated) if isinstance(stated, int) else SWA_PATTERNS.get(header.architecture)
    return period is not None and (period == 0 or index % period < period - 1)


def _shares(header: GgufHeader, index: int) -> bool:
    """The last layers of some models read the cache of an earlier one."""
    if header.architecture == "gemma3n":
        return index >= 20
    shared = header.number("attention.shared_kv_layers") or 0
    return index >= (header.block_count or 0) - shared


def recurs(header: GgufHeader, index: int) -> bool:
    if header.architecture in RECURRENT | BOTH:
        return True
    if not state_bytes(header):
        return False
    if isinstance(header.head_count_kv, tuple):
        return _at(header.head_count_kv, index) == 0 and not _is_feed_forward(header, index)
    interval = header.number("full_attention_interval") or 4
    return (index + 1) % interval != 0


def _is_feed_forward(header: GgufHeader, index: int) -> bool:
    """Nemotron-H has layers that are nothing else: they alone state a width of their own."""
    widths = header.per_layer("feed_forward_length")
    return header.architecture.startswith("nemotron_h") and _at(widths, index) != 0


def state_bytes(header: GgufHeader) -> int:
    """One sequence's recurrent state in one layer (n_embd_r + n_embd_s in llama-hparams.cpp)."""
    width = header.embedding_length or 0
    number = header.number
    if head := number("wkv.head_size"):
        return F32 * width * ((number("token_shift_count") or 2) + head)
    if taps := number("shortconv.l_cache"):
        return F32 * width * (taps - 1)
    taps = max((number("ssm.conv_kernel") or 1) - 1, 0)
    if head := number("kda.head_dim"):
        inner = head * _at(header.head_count, 0)
        return F32 * (3 * (taps or 3) * inner + head * inner)
    inner, size = number("ssm.inner_size") or 0, number("ssm.state_size") or 0
    groups = number("ssm.group_count") or 0
    return F32 * (taps * (inner + 2 * groups * size) + size * inner)


def _at(value: PerLayer | None, index: int) -> int:
    if isinstance(value, tuple):
        return value[index] if index < len(value) else 0
    return value or 0
