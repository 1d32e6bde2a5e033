"""The tensors of a model, from its shape alone: names and extents as in a GGUF file.

Follows the tensor lists of llama.cpp's llama-model.cpp and models/. Biases and the norms of
single heads are left out: together they are below a thousandth of any model here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Literal

from pilotlight.catalog.architecture import Architecture, Experts, Latent

Role = Literal["dense", "head", "expert", "lookup", "idle"]
"""When a tensor is read: `dense` in every step; `head`, the output, too, but in a prefill for the
last token alone; `expert` as far as a batch chooses it; `lookup` a row a token; `idle` never for
text (vision, next-token heads)."""

EMBEDDING, OUTPUT = "token_embd.weight", "output.weight"


@dataclass(frozen=True, slots=True)
class Tensor:
    """`shape` innermost first, as ggml counts; `layer` is None outside of the layers."""

    name: str
    shape: tuple[int, ...]
    role: Role
    layer: int | None = None

    @property
    def parameters(self) -> int:
        return prod(self.shape)

    @property
    def kind(self) -> str:
        """The name without its layer: ``attn_v.weight``."""
        return self.name if self.layer is None else self.name.split(".", 2)[2]


@lru_cache(maxsize=256)
def tensors(architecture: Architecture) -> tuple[Tensor, ...]:
    """In the order of a converted file."""
    hidden, rows = architecture.hidden, architecture.vocabulary
    tied = architecture.tied
    found = [Tensor(EMBEDDING, (hidden, rows), "head" if tied else "lookup")]
    for layer, attends in enumerate(attending(architecture)):
        found += (
            Tensor(f"blk.{layer}.{kind}", shape, role, layer)
            for kind, shape, role in _layer(architecture, layer, attends=attends)
        )
    found.append(Tensor("output_norm.weight", (hidden,), "dense"))
    if not tied:
        found.append(Tensor(OUTPUT, (hidden, rows), "head"))
    return tuple(found)


def attending(architecture: Architecture) -> tuple[bool, ...]:
    """By layer, whether it attends; the attending ones spread evenly, each last of its group."""
    return spread(architecture.attention_layers, architecture.layers)


def windowed(architecture: Architecture) -> tuple[bool, ...]:
    """By layer, whether it sees a window alone; layers of full attention spread evenly."""
    window = architecture.window
    among = architecture.attention_layers
    full = iter(spread(among - (window.layers if window else 0), among))
    return tuple(attends and not next(full) for attends in attending(architecture))


def spread(chosen: int, count: int) -> tuple[bool, ...]:
    """`chosen` of `count` places at even distances, the last place among them."""
    return tuple((index + 1) * chosen // count > index * chosen // count for index in range(count))


_Piece = tuple[str, tuple[int, ...], Role]


def _layer(architecture: Architecture, layer: int, *, attends: bool) -> Iterator[_Piece]:
    hidden = architecture.hidden
    yield "attn_norm.weight", (hidden,), "dense"
    if not attends:
        yield from _recurrent(architecture)
    elif architecture.latent:
        yield from _latent(architecture, architecture.latent)
    else:
        yield from _attention(architecture)
    yield "ffn_norm.weight", (hidden,), "dense"
    experts = architecture.experts
    if experts and layer >= experts.dense_layers:
        yield from _experts(experts, hidden, gated=architecture.gated)
    elif architecture.feed_forward:
        yield from _feed_forward("", hidden, architecture.feed_forward, architecture.gated)


def _attention(architecture: Architecture) -> Iterator[_Piece]:
    hidden, heads, pairs = architecture.hidden, architecture.heads, architecture.kv_heads
    key, value = architecture.head_dim, architecture.value_dim or architecture.head_dim
    gated = 2 if architecture.attention_gate else 1  # llama.cpp keeps the gate in the queries'
    yield "attn_q.weight", (hidden, gated * heads * key), "dense"
    yield "attn_k.weight", (hidden, pairs * key), "dense"
    yield "attn_v.weight", (hidden, pairs * value), "dense"
    yield "attn_output.weight", (heads * value, hidden), "dense"


def _latent(architecture: Architecture, latent: Latent) -> Iterator[_Piece]:
    """Keys and values unpacked from the latent by one small matrix a head each."""
    hidden, heads = architecture.hidden, architecture.heads
    query = heads * (latent.nope_dim + latent.rope_dim)
    if latent.q_rank is None:
        yield "attn_q.weight", (hidden, query), "dense"
    else:
        yield "attn_q_a.weight", (hidden, latent.q_rank), "dense"
        yield "attn_q_b.weight", (latent.q_rank, query), "dense"
    yield "attn_kv_a_mqa.weight", (hidden, latent.kv_rank + latent.rope_dim), "dense"
    yield "attn_k_b.weight", (latent.nope_dim, latent.kv_rank, heads), "dense"
    yield "attn_v_b.weight", (latent.kv_rank, latent.value_dim, heads), "dense"
    yield "attn_output.weight", (heads * latent.value_dim, hidden), "dense"


def _recurrent(architecture: Architecture) -> Iterator[_Piece]:
    """As one way in and one way out, with the rest of its parameters in the former."""
    recurrent = architecture.recurrent
    assert recurrent is not None, "a layer that doesn't attend recurs"
    hidden = architecture.hidden
    out = min(recurrent.inner * hidden, recurrent.parameters) // hidden
    columns = max(recurrent.parameters // hidden - out, 1)
    yield "ssm_in.weight", (hidden, columns), "dense"
    if out:
        yield "ssm_out.weight", (out, hidden), "dense"


def _experts(experts: Experts, hidden: int, *, gated: bool) -> Iterator[_Piece]:
    yield "ffn_gate_inp.weight", (hidden, experts.count), "dense"
    width, count = experts.width, experts.count
    if gated:
        yield "ffn_gate_exps.weight", (hidden, width, count), "expert"
    yield "ffn_up_exps.weight", (hidden, width, count), "expert"
    yield "ffn_down_exps.weight", (width, hidden, count), "expert"
    if experts.shared_width:
        yield from _feed_forward("_shexp", hidden, experts.shared_width, gated)


def _feed_forward(suffix: str, hidden: int, width: int, gated: bool) -> Iterator[_Piece]:
    if gated:
        yield f"ffn_gate{suffix}.weight", (hidden, width), "dense"
    yield f"ffn_up{suffix}.weight", (hidden, width), "dense"
    yield f"ffn_down{suffix}.weight", (width, hidden), "dense"
