"""What a model keeps of the tokens so far: keys and values, a latent, a window or a state.

The model's own need, before any engine rounds it to blocks and buffers.
"""

from __future__ import annotations

from collections.abc import Mapping

from pilotlight.catalog.architecture import Architecture
from pilotlight.errors import PlanError
from pilotlight.planner.mixes import BLOCKS

STATE_BYTES = 4
"""Engines keep a recurrent state in F32."""

KV_BYTES: Mapping[str, float] = {
    **{name.lower(): kind.block_bytes / kind.block_weights for name, kind in BLOCKS.items()},
    "auto": 2.0, "bfloat16": 2.0, "float16": 2.0, "float32": 4.0, "fp8": 1.0, "fp8_e4m3": 1.0,
    "fp8_e5m2": 1.0, "int8": 1.0, "int4": 0.5, "nvfp4": 0.5625,
}  # fmt: skip
"""Bytes of one number by the type of a cache, in llama.cpp's and vLLM's words."""


def number_bytes(kv_type: str | None) -> float:
    """Of one number in a cache of that type; None is the engines' default of 16 bits. Scales that
    a whole token or head shares are left out.

    Raises:
        PlanError: nobody knows how that type is kept.
    """
    size = KV_BYTES.get((kv_type or "auto").removesuffix("_per_token_head"))
    if size is None:
        raise PlanError(
            f"nobody knows what a cache of {kv_type!r} takes",
            hint=f"use one of {', '.join(sorted(KV_BYTES))}",
        )
    return size


def layer_bytes(architecture: Architecture, key: float = 2, value: float = 2) -> float:
    """One token in one attending layer; `key` and `value` are bytes of one number.

    MLA caches one latent and one rotated part for all heads (DeepSeek-V2, arXiv 2405.04434).
    """
    if latent := architecture.latent:
        return (latent.kv_rank + latent.rope_dim) * key
    width = architecture.head_dim
    return architecture.kv_heads * (width * key + (architecture.value_dim or width) * value)


def token_bytes(architecture: Architecture, key: float = 2, value: float = 2) -> float:
    """One token in all attending layers, while no window is full."""
    return architecture.attention_layers * layer_bytes(architecture, key, value)


def state_bytes(architecture: Architecture) -> int:
    """One sequence's recurrent state in all layers; it doesn't grow."""
    recurrent = architecture.recurrent
    if recurrent is None:
        return 0
    taps = (recurrent.conv - 1) * (recurrent.inner + 2 * recurrent.groups * recurrent.state)
    return STATE_BYTES * recurrent.layers * (taps + recurrent.state * recurrent.inner)


def sequence_bytes(
    architecture: Architecture, tokens: float, key: float = 2, value: float = 2
) -> float:
    """One sequence of so many tokens."""
    return layer_bytes(architecture, key, value) * kept_tokens(architecture, tokens) + state_bytes(
        architecture
    )


def kept_tokens(architecture: Architecture, tokens: float) -> float:
    """Tokens times the layers that keep them: windowed layers drop the older ones."""
    window = architecture.window
    if window is None:
        return architecture.attention_layers * tokens
    full = architecture.attention_layers - window.layers
    return full * tokens + window.layers * min(tokens, window.tokens)
