"""What the steps of a model read and multiply, in numbers that depend on nothing but the model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pilotlight.catalog.architecture import Architecture
from pilotlight.planner import kv
from pilotlight.planner.model import PlannedModel
from pilotlight.planner.weights import Weights

ACTIVATION_BYTES = 2
"""Of one number that goes from layer to layer."""


@dataclass(frozen=True, slots=True)
class Matrices:
    """All weights of one type that are used together."""

    type: str
    parameters: float
    bytes: float

    @property
    def bits(self) -> float:
        return 8 * self.bytes / self.parameters


@dataclass(frozen=True, slots=True)
class Reach:
    """So many layers that look back `window` tokens, or at everything."""

    layers: int
    window: int | None

    def visible(self, context: float) -> float:
        """Tokens that all these layers together look at for one new token."""
        return self.layers * (context if self.window is None else min(context, self.window))

    def pairs(self, tokens: float) -> float:
        """(New token, token looked at) over a prompt: s²/2, a band of it under a window."""
        if self.window is None or tokens <= self.window:
            return self.layers * tokens * tokens / 2
        return self.layers * (self.window**2 / 2 + (tokens - self.window) * self.window)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """`dense` is used for every token, `head` for each token that is sampled from, `experts` by
    choice. Attention counts over all layers."""

    dense: tuple[Matrices, ...]
    head: tuple[Matrices, ...]
    experts: tuple[Matrices, ...] = ()
    expert_count: int = 1
    experts_used: int = 1
    expert_layers: int = 0
    layers: int
    hidden: int
    vocabulary: int
    reaches: tuple[Reach, ...]
    decode_pair_flop: float
    """Operations for one token and one layer-token that it looks at, while decoding."""

    prefill_pair_flop: float
    cache_bytes: float
    """Read for one layer-token."""

    state_bytes: float
    """Of a sequence's recurrent layers: read and written in every step."""

    kv_heads: int
    """How many ways the cache can be split; 1 where it's one latent."""

    def visible(self, context: float) -> float:
        """Layer-tokens that one new token looks at."""
        return sum(reach.visible(context) for reach in self.reaches)

    def pairs(self, tokens: float, past: float = 0.0) -> float:
        """As `Reach.pairs`, of `tokens` that follow `past`."""
        return sum(reach.pairs(past + tokens) - reach.pairs(past) for reach in self.reaches)

    def sequence_bytes(self, context: float) -> float:
        """Read for one sequence in one step."""
        return self.visible(context) * self.cache_bytes + 2 * self.state_bytes

    def coverage(self, tokens: float) -> float:
        """Share of the experts that so many tokens choose together, if they choose evenly."""
        used = min(self.experts_used / self.expert_count, 1.0)
        return float(1.0 - (1.0 - used) ** tokens)

    def read_bytes(self, tokens: float = 1.0) -> float:
        """Weights read by a step of so many tokens."""
        fixed = sum(part.bytes for part in (*self.dense, *self.head))
        return fixed + self.coverage(tokens) * sum(part.bytes for part in self.experts)

    @property
    def token_parameters(self) -> float:
        """Multiplied for one token in a prompt: no head, and the experts it chose."""
        chosen = self.experts_used / self.expert_count
        dense = sum(part.parameters for part in self.dense)
        return dense + chosen * sum(part.parameters for part in self.experts)

    @property
    def head_parameters(self) -> float:
        return sum(part.parameters for part in self.head)


def work_of(model: PlannedModel, kv_type: str | None = None) -> Work:
    """`kv_type` is the cache's, in the engines' words (`f16`, `q8_0`, `fp8`); None: 16 bits."""
    return work(model.architecture, model.weights, kv_type)


def work(architecture: Architecture, weights: Weights, kv_type: str | None = None) -> Work:
    """As `work_of`, from the parts."""
    experts = architecture.experts
    decode, prefill = _pair_flop(architecture)
    number_bytes = kv.number_bytes(kv_type)
    return Work(
        dense=_matrices(weights, "dense"),
        head=_matrices(weights, "head"),
        experts=_matrices(weights, "expert"),
        expert_count=experts.count if experts else 1,
        experts_used=experts.used if experts else 1,
        expert_layers=architecture.layers - experts.dense_layers if experts else 0,
        layers=architecture.layers,
        hidden=architecture.hidden,
        vocabulary=architecture.vocabulary,
        reaches=tuple(_reaches(architecture)),
        decode_pair_flop=decode,
        prefill_pair_flop=prefill,
        cache_bytes=kv.layer_bytes(architecture, number_bytes, number_bytes),
        state_bytes=kv.state_bytes(architecture),
        kv_heads=1 if architecture.latent else architecture.kv_heads,
    )


def _matrices(weights: Weights, role: str) -> tuple[Matrices, ...]:
    groups = (group for group in weights.groups if group.role == role and group.parameters)
    return tuple(Matrices(group.type, group.parameters, group.bytes) for group in groups)


def _reaches(architecture: Architecture) -> Iterable[Reach]:
    window = architecture.window
    full = architecture.attention_layers - (window.layers if window else 0)
    if full:
        yield Reach(full, None)
    if window and window.layers:
        yield Reach(window.layers, window.tokens)


def _pair_flop(architecture: Architecture) -> tuple[float, float]:
    """Two products a head, scores and values; decoding MLA works on the latent itself."""
    latent, heads = architecture.latent, architecture.heads
    if latent is None:
        value = architecture.value_dim or architecture.head_dim
        both = 2.0 * heads * (architecture.head_dim + value)
        return both, both
    absorbed = 2.0 * heads * (2 * latent.kv_rank + latent.rope_dim)
    unpacked = 2.0 * heads * (latent.nope_dim + latent.rope_dim + latent.value_dim)
    return absorbed, unpacked
