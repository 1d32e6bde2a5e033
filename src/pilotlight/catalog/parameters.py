"""How many numbers a model of a given shape has, part by part.

Norms are counted as two of the hidden width in each layer and one at the end; biases and the
norms inside attention, at most a few thousandths of a percent, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.catalog.architecture import Architecture, Latent


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterCount:
    embedding: int
    output: int
    """0 where it reads the embedding's matrix."""

    attention: int
    feed_forward: int
    """Of dense layers."""

    experts: int
    """All of them; `used_experts` for each token."""

    used_experts: int
    shared: int
    """What every token passes beside its experts."""

    router: int
    recurrent: int
    norms: int
    head: int
    """What the output multiplies with: its own matrix, or the embedding's."""

    @property
    def total(self) -> int:
        return self.embedding + self.output + self._every_token + self.experts

    @property
    def active(self) -> int:
        """Multiplied with for each token; looking up an embedding multiplies with nothing."""
        return self.head + self._every_token + self.used_experts

    @property
    def _every_token(self) -> int:
        parts = (self.attention, self.feed_forward, self.shared, self.router)
        return sum(parts) + self.recurrent + self.norms


def count(shape: Architecture) -> ParameterCount:
    matrix = shape.vocabulary * shape.hidden
    experts = shape.experts
    routed_layers = _routed_layers(shape)
    matrices = 3 if shape.gated else 2
    one_expert = matrices * shape.hidden * experts.width if experts else 0
    return ParameterCount(
        embedding=matrix,
        output=0 if shape.tied else matrix,
        head=matrix,
        attention=shape.attention_layers * attention_of_a_layer(shape),
        feed_forward=_dense_layers(shape) * matrices * shape.hidden * shape.feed_forward,
        experts=routed_layers * one_expert * (experts.count if experts else 0),
        used_experts=routed_layers * one_expert * (experts.used if experts else 0),
        shared=routed_layers * matrices * shape.hidden * (experts.shared_width if experts else 0),
        router=routed_layers * shape.hidden * (experts.count if experts else 0),
        recurrent=shape.recurrent.layers * shape.recurrent.parameters if shape.recurrent else 0,
        norms=(2 * shape.layers + 1) * shape.hidden,
    )


def _routed_layers(shape: Architecture) -> int:
    return shape.layers - shape.experts.dense_layers if shape.experts else 0


def _dense_layers(shape: Architecture) -> int:
    return shape.experts.dense_layers if shape.experts else shape.layers


def attention_of_a_layer(shape: Architecture) -> int:
    if shape.latent:
        return _latent_attention(shape, shape.latent)
    value_dim = shape.value_dim or shape.head_dim
    queries = shape.heads * shape.head_dim
    keys_and_values = shape.kv_heads * (shape.head_dim + value_dim)
    outputs = shape.heads * value_dim * (2 if shape.attention_gate else 1)
    return shape.hidden * (queries + keys_and_values + outputs)


def _latent_attention(shape: Architecture, latent: Latent) -> int:
    """DeepSeek-V2 (arXiv 2405.04434, section 2.1): squeezed keys and values, perhaps queries."""
    query_dim = latent.nope_dim + latent.rope_dim
    queries = shape.heads * query_dim
    asked = (
        shape.hidden * queries
        if latent.q_rank is None
        else latent.q_rank * (shape.hidden + queries)
    )
    squeezed = shape.hidden * (latent.kv_rank + latent.rope_dim)
    widened = latent.kv_rank * shape.heads * (latent.nope_dim + latent.value_dim)
    return asked + squeezed + widened + shape.heads * latent.value_dim * shape.hidden
