"""llama.cpp's mixes of quantizations: which type each tensor of a model gets in ``Q4_K_M``.

Follows llama_tensor_get_type of llama-quant.cpp, without an importance matrix but for the types
that can't be made without one. A name such as Q4_K_M stands for rules, not for a number of bits:
those of an 8B model and of a 1B model differ by a twentieth. The rules of single families
(Falcon, GLM) are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pilotlight.catalog.architecture import Architecture
from pilotlight.planner.tensors import EMBEDDING, OUTPUT, Tensor, tensors
from pilotlight.store.ggml_types import GGML_TYPES, GgmlType

BLOCKS: Mapping[str, GgmlType] = {kind.name: kind for kind in GGML_TYPES.values()}

FLOATS = frozenset({"F32", "F16", "BF16"})

BASE: Mapping[str, str] = {
    **{name: name for name in (
        "F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q6_K", "IQ1_S", "IQ1_M",
        "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0", "Q2_K",
    )},
    "Q2_K_S": "Q2_K", "Q3_K_S": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_L": "Q3_K", "Q4_K_S": "Q4_K",
    "Q4_K_M": "Q4_K", "Q5_K_S": "Q5_K", "Q5_K_M": "Q5_K", "IQ2_S": "IQ2_XS", "IQ2_M": "IQ2_S",
    "IQ3_XS": "IQ3_S", "IQ3_M": "IQ3_S", "MXFP4_MOE": "MXFP4",
}  # fmt: skip
"""By mix, the type that a tensor has where no rule says otherwise."""

_FALLBACKS: Mapping[str, str] = {
    **dict.fromkeys(
        ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS"), "IQ4_NL"
    ),
    **dict.fromkeys(("Q2_K", "Q3_K", "TQ1_0", "TQ2_0"), "Q4_0"),
    "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0",
}  # fmt: skip
"""For a row that isn't whole blocks of 256."""

_LOW = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M"})
_LOWER_HEAD = _LOW | {"IQ3_XXS"}
_KEPT = ("_norm.weight", "ffn_gate_inp.weight", "ssm_conv1d")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor stands, as far as the rules ask."""

    tensor: Tensor
    nth: int
    """Among the tensors of its category so far."""

    values: int
    """How many matrices of values the model has."""

    layers: int
    sharing: int
    """Query heads to one of keys."""

    experts: int
    is_70b: bool

    @property
    def layer(self) -> int:
        """As layer_info counts: by name in a mixture, else by how many came before."""
        return self.tensor.layer or 0 if self.experts > 1 else self.nth


@lru_cache(maxsize=2048)
def types(architecture: Architecture, mix: str) -> Mapping[str, str]:
    """The ggml type of each of `tensors(architecture)`, by its name.

    Raises:
        KeyError: `mix` is none of `BASE`.
    """
    base, all_tensors = BASE[mix], tensors(architecture)
    counted: dict[str, int] = {}
    categories = [_category(tensor) for tensor in all_tensors]
    values = categories.count("attn_v")
    found: dict[str, str] = {}
    for tensor, category in zip(all_tensors, categories, strict=True):
        place = _Place(
            tensor,
            counted.get(category, 0),
            values,
            architecture.layers,
            architecture.heads // architecture.kv_heads if architecture.kv_heads else 0,
            architecture.experts.count if architecture.experts else 0,
            architecture.layers == 80 and architecture.heads != architecture.kv_heads,
        )
        counted[category] = place.nth + 1
        found[tensor.name] = _type(place, category, mix, base, tied=architecture.tied)
    return found


def _category(tensor: Tensor) -> str:
    """tensor_get_category, with its names."""
    kind = tensor.kind.removesuffix(".weight")
    for stem in ("ffn_up", "ffn_gate", "ffn_down"):
        if kind.startswith(stem) and kind != "ffn_gate_inp":
            return stem
    return {EMBEDDING: "embedding", OUTPUT: "output"}.get(tensor.name, kind)


def _type(place: _Place, category: str, mix: str, base: str, *, tied: bool) -> str:
    tensor = place.tensor
    if len(tensor.shape) < 2 or any(kept in tensor.name for kept in _KEPT):
        return "F32"
    if base in FLOATS:
        return base
    if category == "output" or (tied and category == "embedding"):
        return _fallback(_head(tensor, mix, base), tensor)
    if mix == "MXFP4_MOE":
        return "MXFP4" if len(tensor.shape) == 3 and tensor.role == "expert" else "Q8_0"
    if category == "embedding":
        return _fallback(_embedding(mix, base), tensor)
    rules = _LOW_RULES if mix in _LOW else _RULES
    rule = rules.get(category)
    return _fallback(rule(place, mix) or base if rule else base, tensor)


def _fallback(wanted: str, tensor: Tensor) -> str:
    """tensor_type_fallback: a row that isn't whole blocks takes smaller ones."""
    row = tensor.shape[0]
    if row % BLOCKS[wanted].block_weights == 0:
        return wanted
    smaller = _FALLBACKS.get(wanted, wanted)
    return smaller if row % BLOCKS[smaller].block_weights == 0 else "F16"


def _head(tensor: Tensor, mix: str, base: str) -> str:
    if mix == "MXFP4_MOE" or tensor.shape[0] % BLOCKS[base].block_weights:
        return "Q8_0"
    if mix in _LOWER_HEAD:
        return "Q5_K"
    return base if base == "Q8_0" else "Q6_K"


def _embedding(mix: str, base: str) -> str:
    if mix in ("IQ2_XXS", "IQ2_XS", "IQ1_S", "IQ1_M"):
        return "Q2_K"
    if mix in ("IQ2_S", "IQ2_M", "IQ3_XXS"):
        return "IQ3_S"
    return "Q4_K" if mix in ("TQ1_0", "TQ2_0") else base


def _more_bits(layer: int, layers: int) -> bool:
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def _low_values(place: _Place, mix: str) -> str:
    if place.sharing >= 4 or place.experts >= 4:
        return "Q4_K"
    return "IQ3_S" if mix in ("IQ2_S", "IQ2_M") else "Q2_K"


def _low_keys(place: _Place, mix: str) -> str | None:
    return "Q4_K" if place.experts == 8 else None


def _low_down(place: _Place, mix: str) -> str | None:
    if place.nth >= place.layers // 8:
        return None
    return "IQ3_S" if mix in ("IQ2_S", "IQ2_M") else "Q2_K"


def _low_output(place: _Place, mix: str) -> str | None:
    if place.experts == 8:
        return "Q5_K"
    return {"IQ1_S": "IQ2_XXS", "IQ1_M": "IQ2_XXS", "IQ2_S": "IQ3_S", "IQ2_M": "IQ3_S"}.get(mix)


def _values(place: _Place, mix: str) -> str | None:
    if place.experts == 8:
        return "Q8_0"
    chosen = _shared_values(mix, shared=place.sharing >= 4) or _placed_values(place, mix)
    if place.is_70b and (chosen or BASE[mix]) in ("Q3_K", "Q4_K"):
        return "Q5_K"
    return chosen


def _shared_values(mix: str, *, shared: bool) -> str | None:
    """Heads that share their values leave small matrices, which can afford more bits."""
    if mix == "Q2_K":
        return "Q4_K" if shared else "Q3_K"
    if mix in ("Q2_K_S", "IQ3_XXS", "IQ3_XS", "IQ3_S"):
        return "Q4_K" if shared else None
    return "Q5_K" if shared and mix in ("IQ4_NL", "IQ4_XS") else None


def _placed_values(place: _Place, mix: str) -> str | None:
    if mix in ("Q4_K_M", "Q5_K_M"):
        return "Q6_K" if _more_bits(place.nth, place.values) else None
    if mix == "Q3_K_M":
        return "Q5_K" if place.nth < 2 else "Q4_K"
    if mix == "Q4_K_S":
        return "Q5_K" if place.nth < 4 else None
    return {"IQ3_M": "Q4_K", "Q3_K_L": "Q5_K"}.get(mix)


def _keys(place: _Place, mix: str) -> str | None:
    if place.experts == 8:
        return "Q8_0"
    return _queries(place, mix)


def _queries(place: _Place, mix: str) -> str | None:
    return {"IQ3_XS": "IQ3_XXS", "IQ3_XXS": "IQ2_S"}.get(mix)


def _down(place: _Place, mix: str) -> str | None:
    layer, layers = place.layer, place.layers
    first = layer < layers // 8
    if mix in ("Q4_K_M", "Q5_K_M"):
        return "Q6_K" if _more_bits(layer, layers) else None
    if mix == "Q3_K_M":
        return "Q5_K" if layer < layers // 16 else "Q4_K"
    if mix == "IQ3_M":
        more = first or (place.experts == 8 and _more_bits(layer, layers))
        return "Q4_K" if more else None
    if mix in ("Q2_K", "Q3_K_L"):
        return {"Q2_K": "Q3_K", "Q3_K_L": "Q5_K"}[mix]
    if first:
        return {"Q2_K_S": "Q4_K", "IQ4_NL": "Q5_K", "IQ4_XS": "Q5_K", "Q4_K_S": "Q5_K"}.get(mix)
    return None


def _output(place: _Place, mix: str) -> str | None:
    if place.experts == 8:
        raised = mix in _RAISED_OUTPUTS
        return "Q5_K" if raised else None
    return {
        "Q2_K": "Q3_K", "IQ3_XXS": "IQ3_S", "Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K", "IQ3_M": "Q4_K",
    }.get(mix)  # fmt: skip


_RAISED_OUTPUTS = frozenset({
    "Q2_K", "IQ3_XS", "IQ3_XXS", "Q3_K_S", "Q3_K_M", "IQ4_NL", "Q4_K_S", "Q4_K_M", "IQ3_S",
    "IQ3_M", "IQ4_XS",
})  # fmt: skip


def _middle(place: _Place, mix: str) -> str | None:
    """Gates and ways up of all but the outer layers."""
    eighth = place.layers // 8
    inside = eighth <= place.layer < 7 * place.layers // 8
    return "IQ3_XXS" if mix == "IQ3_XS" and inside else None


_Rule = Callable[[_Place, str], str | None]

_RULES: Mapping[str, _Rule] = {
    "attn_v": _values, "attn_k": _keys, "attn_q": _queries, "ffn_down": _down,
    "attn_output": _output, "ffn_gate": _middle, "ffn_up": _middle,
}  # fmt: skip
_LOW_RULES: Mapping[str, _Rule] = {
    "attn_v": _low_values, "attn_k": _low_keys, "ffn_down": _low_down, "attn_output": _low_output,
}  # fmt: skip


def stored_bytes(tensor: Tensor, kind: str) -> int:
    """What `tensor` takes in the ggml type `kind`."""
    block = BLOCKS[kind]
    return tensor.parameters // block.block_weights * block.block_bytes
