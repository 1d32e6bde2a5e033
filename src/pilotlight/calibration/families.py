"""Which of llama.cpp's architectures computes a shape, and the numbers its loader asks for.

The keys are those of llama-arch.cpp; each family's requirements those of its file in
llama.cpp's src/models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pilotlight.calibration.gguf_writer import StoredTensor, Value
from pilotlight.catalog.architecture import Architecture, Experts
from pilotlight.errors import ModelFormatError
from pilotlight.planner.tensors import windowed

EPSILON = 1e-5


def _no_tensors(architecture: Architecture) -> Sequence[StoredTensor]:
    return ()


@dataclass(frozen=True, slots=True)
class Family:
    """`name` is llama.cpp's; `numbers` go into the header below that name."""

    name: str
    runs: Callable[[Architecture], bool]
    numbers: Callable[[Architecture], Mapping[str, Value]]
    more_tensors: Callable[[Architecture], Sequence[StoredTensor]] = _no_tensors
    """Small ones that the loader asks for and a shape doesn't speak of."""


def family_of(architecture: Architecture) -> Family:
    """Raises ModelFormatError where none runs that shape."""
    for family in FAMILIES:
        if family.runs(architecture):
            return family
    raise ModelFormatError(
        f"no file can be shaped like {architecture!r}",
        hint="shaped are: dense models, also with windows, and mixtures of experts, also with "
        "shared experts and latent attention; not recurrent ones",
    )


def _is_gated(shape: Architecture) -> bool:
    return shape.gated and not shape.recurrent


def _is_plain(shape: Architecture) -> bool:
    """Attention over everything in all layers, with keys as wide as values."""
    same_width = shape.value_dim in (None, shape.head_dim)
    return _is_gated(shape) and same_width and not (shape.latent or shape.window)


def _is_dense(shape: Architecture) -> bool:
    return _is_plain(shape) and not shape.experts


def _is_mixtral(shape: Architecture) -> bool:
    """Experts in every layer, and nothing beside them."""
    experts = shape.experts
    alone = experts is not None and not (experts.shared_width or experts.dense_layers)
    return _is_plain(shape) and alone


def _shares_experts(shape: Architecture) -> bool:
    """Some experts that every token passes, as wide as so many of the others together."""
    experts = shape.experts
    return bool(experts and experts.shared_width and not experts.shared_width % experts.width)


def _is_deepseek(shape: Architecture) -> bool:
    return (
        _is_plain(shape) and _shares_experts(shape) and shape.heads * shape.head_dim == shape.hidden
    )


def _is_deepseek2(shape: Architecture) -> bool:
    return _is_gated(shape) and shape.latent is not None and _shares_experts(shape)


def _is_gemma3(shape: Architecture) -> bool:
    return _is_gated(shape) and bool(shape.window) and not (shape.experts or shape.latent)


def _dense(shape: Architecture) -> dict[str, Value]:
    return {
        "block_count": shape.layers,
        "context_length": shape.context,
        "embedding_length": shape.hidden,
        "feed_forward_length": shape.feed_forward,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "attention.key_length": shape.head_dim,
        "attention.value_length": shape.value_dim or shape.head_dim,
        "attention.layer_norm_rms_epsilon": EPSILON,
        "rope.dimension_count": shape.head_dim,
        "rope.freq_base": 500_000.0,
        "vocab_size": shape.vocabulary,
    }


def _mixtral(shape: Architecture) -> dict[str, Value]:
    """The experts' width is the feed-forward's."""
    experts = _experts_of(shape)
    return {
        **_dense(shape),
        "feed_forward_length": experts.width,
        "expert_count": experts.count,
        "expert_used_count": experts.used,
    }


def _deepseek(shape: Architecture) -> dict[str, Value]:
    experts = _experts_of(shape)
    return {
        **_dense(shape),
        "expert_count": experts.count,
        "expert_used_count": experts.used,
        "expert_feed_forward_length": experts.width,
        "expert_shared_count": experts.shared_width // experts.width,
        "leading_dense_block_count": experts.dense_layers,
    }


def _deepseek2(shape: Architecture) -> dict[str, Value]:
    latent = shape.latent
    assert latent is not None, "only such shapes are of this family"
    query = {} if latent.q_rank is None else {"attention.q_lora_rank": latent.q_rank}
    return {
        **_deepseek(shape),
        **query,
        "attention.head_count_kv": 1,
        "attention.kv_lora_rank": latent.kv_rank,
        "attention.key_length": latent.kv_rank + latent.rope_dim,
        "attention.value_length": latent.kv_rank,
        "attention.key_length_mla": latent.nope_dim + latent.rope_dim,
        "attention.value_length_mla": latent.value_dim,
        "rope.dimension_count": latent.rope_dim,
    }


def _latent_norms(shape: Architecture) -> Sequence[StoredTensor]:
    latent = shape.latent
    assert latent is not None, "only such shapes are of this family"
    widths = {"attn_kv_a_norm": latent.kv_rank, "attn_q_a_norm": latent.q_rank}
    return _norms(shape, {name: width for name, width in widths.items() if width})


def _gemma3(shape: Architecture) -> dict[str, Value]:
    window = shape.window
    assert window is not None, "only such shapes are of this family"
    return {
        **_dense(shape),
        "attention.sliding_window": window.tokens,
        "attention.sliding_window_pattern": [int(each) for each in windowed(shape)],
    }


def _gemma_norms(shape: Architecture) -> Sequence[StoredTensor]:
    heads = dict.fromkeys(("attn_q_norm", "attn_k_norm"), shape.head_dim)
    return _norms(
        shape, {**heads, **dict.fromkeys(("post_attention_norm", "post_ffw_norm"), shape.hidden)}
    )


def _norms(shape: Architecture, widths: Mapping[str, int]) -> Sequence[StoredTensor]:
    return [
        StoredTensor(f"blk.{layer}.{name}.weight", (width,), "F32")
        for layer in range(shape.layers)
        for name, width in widths.items()
    ]


def _experts_of(shape: Architecture) -> Experts:
    assert shape.experts is not None, "only such shapes are of this family"
    return shape.experts


FAMILIES: tuple[Family, ...] = (
    Family("llama", _is_dense, _dense),
    Family("llama", _is_mixtral, _mixtral),
    Family("deepseek", _is_deepseek, _deepseek),
    Family("deepseek2", _is_deepseek2, _deepseek2, _latent_norms),
    Family("gemma3", _is_gemma3, _gemma3, _gemma_norms),
)
