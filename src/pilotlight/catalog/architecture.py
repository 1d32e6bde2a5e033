"""A model's shape: the numbers from which its weights, cache and arithmetic follow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """The feed-forward part of a mixture: `used` of `count` experts for each token and layer."""

    count: int
    used: int
    width: int
    """Inner width of one expert."""

    shared_width: int = 0
    """Inner width of what every token passes beside them; 0 without."""

    dense_layers: int = 0
    """Layers that have `Architecture.feed_forward` instead of experts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latent:
    """Multi-head latent attention (MLA): what is cached of a token is `kv_rank` + `rope_dim`."""

    kv_rank: int
    rope_dim: int
    nope_dim: int
    value_dim: int
    q_rank: int | None = None
    """Width that queries are squeezed through; None where they aren't."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Layers that see `tokens` back and no further."""

    tokens: int
    layers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrent:
    """Layers with a state of fixed size in place of a cache (Mamba, gated delta nets).

    One sequence keeps (conv - 1)(inner + 2·groups·state) + state·inner numbers in each, in F32.
    """

    layers: int
    inner: int
    state: int
    groups: int
    conv: int
    parameters: int
    """Of one such layer, without its feed-forward part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Widths and counts, in llama.cpp's and the hub's sense of the words.

    `layers` counts all; those of `recurrent` don't attend, the rest do. `feed_forward` is the
    inner width of a dense layer, 0 where every layer has experts or none has any.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    feed_forward: int
    vocabulary: int
    context: int
    tied: bool
    """Whether the output reads the embedding's matrix."""

    value_dim: int | None = None
    """Of one head; None: as `head_dim`."""

    gated: bool = True
    """Three matrices in a feed-forward part, or two."""

    attention_gate: bool = False
    """A matrix as wide as the queries gates attention's output (Qwen3-Next and later)."""

    experts: Experts | None = None
    latent: Latent | None = None
    window: Window | None = None
    recurrent: Recurrent | None = None

    @property
    def attention_layers(self) -> int:
        return self.layers - (self.recurrent.layers if self.recurrent else 0)
