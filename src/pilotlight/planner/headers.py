"""A model from the header of its GGUF file: exact, tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from pilotlight.catalog.architecture import Architecture, Experts, Latent, Recurrent, Window
from pilotlight.engines.llamacpp.cache import is_windowed, recurs
from pilotlight.errors import PlanError
from pilotlight.planner.model import PlannedModel
from pilotlight.planner.tensors import EMBEDDING, OUTPUT, Role
from pilotlight.planner.weights import WeightGroup, Weights
from pilotlight.store.gguf import GgufHeader, PerLayer, TensorInfo

FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M",
    30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE",
}  # fmt: skip
"""``general.file_type`` of llama.h (enum llama_ftype)."""

_TABLES = (EMBEDDING, "per_layer_token_embd.weight", "position_embd.weight", "token_types.weight")
_OTHER_SENSES = ("v.", "a.", "mm.", "resampler.")


def from_gguf(name: str, header: GgufHeader, ref: str | None = None) -> PlannedModel:
    """Raises PlanError where the header lacks what a plan needs."""
    weights = Weights.of(_groups(header), header.file_bytes - header.weights_bytes)
    return PlannedModel(
        name=name,
        architecture=architecture_of(header),
        quantization=_quantization(header, weights),
        format="gguf",
        weights=weights,
        source="header",
        ref=ref,
        header=header,
    )


def _quantization(header: GgufHeader, weights: Weights) -> str:
    """As the file says, else what most of its weights are in."""
    said = FILE_TYPES.get(-1 if header.file_type is None else header.file_type)
    counted = weights.parameters_by_type()
    return said or max(counted, key=lambda kind: counted[kind])


def _groups(header: GgufHeader) -> Iterator[WeightGroup]:
    tied = all(tensor.name != OUTPUT for tensor in header.tensors)
    drafting = (header.block_count or 0) - (header.number("nextn_predict_layers") or 0)
    for tensor in header.tensors:
        role = _role(tensor, tied=tied, drafting=drafting)
        yield WeightGroup(role, tensor.type_name, prod(tensor.shape), tensor.size_bytes)


def _role(tensor: TensorInfo, *, tied: bool, drafting: int) -> Role:
    name = tensor.name
    if name == OUTPUT or (tied and name == EMBEDDING):
        return "head"
    if name in _TABLES:
        return "lookup"
    if name.startswith(_OTHER_SENSES) or _layer(name) >= drafting:
        return "idle"
    return "expert" if "_exps." in name else "dense"


def _layer(name: str) -> int:
    prefix, _, rest = name.partition(".")
    number = rest.partition(".")[0]
    return int(number) if prefix == "blk" and number.isdigit() else -1


def architecture_of(header: GgufHeader) -> Architecture:
    """The shape that `header` states.

    Raises:
        PlanError: it states no layers or widths.
    """
    layers, hidden = header.block_count, header.embedding_length
    heads = _largest(header.head_count)
    if not layers or not hidden:
        raise PlanError(
            f"the header of {header.name or 'the model'!r} ({header.architecture}) states no "
            "layers or no width",
            hint="plan with a language model's GGUF file, not a projector's or an adapter's",
        )
    latent = _latent(header)
    key, value = header.key_length or 0, header.value_length
    if latent:  # the header's widths are those of what is cached
        key = value = latent.nope_dim + latent.rope_dim
    return Architecture(
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=heads if latent else _largest(header.head_count_kv),
        head_dim=key,
        feed_forward=_dense_width(header),
        vocabulary=_rows(header),
        context=header.context_length or 0,
        tied=all(tensor.name != OUTPUT for tensor in header.tensors),
        value_dim=None if value == key else value,
        gated=_is_gated(header),
        experts=_experts(header),
        latent=latent,
        window=_window(header),
        recurrent=_recurrent(header),
    )


def _rows(header: GgufHeader) -> int:
    shapes = (tensor.shape for tensor in header.tensors if tensor.name == EMBEDDING)
    return header.vocabulary_size or next(shapes, (0, 0))[1]


def _dense_width(header: GgufHeader) -> int:
    """0 where every layer has experts, though the header repeats a width for them."""
    stated = _largest(header.per_layer("feed_forward_length"))
    dense = any(".ffn_up.weight" in tensor.name for tensor in header.tensors)
    return stated if dense or not header.number("expert_count") else 0


def _is_gated(header: GgufHeader) -> bool:
    """A matrix of its own for the gate, or one twice as wide for both."""
    width = _largest(header.per_layer("feed_forward_length"))
    return any(
        ".ffn_gate" in tensor.name or (".ffn_up.weight" in tensor.name and tensor.shape[1] > width)
        for tensor in header.tensors
        if "ffn_gate_inp" not in tensor.name
    )


def _experts(header: GgufHeader) -> Experts | None:
    count = header.number("expert_count")
    if not count:
        return None
    width = _largest(header.per_layer("expert_feed_forward_length"))
    width = width or _largest(header.per_layer("feed_forward_length"))
    shared = header.number("expert_shared_feed_forward_length")
    return Experts(
        count=count,
        used=header.number("expert_used_count") or 1,
        width=width,
        shared_width=shared or (header.number("expert_shared_count") or 0) * width,
        dense_layers=header.number("leading_dense_block_count") or 0,
    )


def _latent(header: GgufHeader) -> Latent | None:
    rank, key = header.number("attention.kv_lora_rank"), header.number("attention.key_length_mla")
    if not rank or not key:
        return None  # without both llama.cpp keeps whole keys and values
    rope = header.number("rope.dimension_count") or 0
    return Latent(
        kv_rank=rank,
        rope_dim=rope,
        nope_dim=key - rope,
        value_dim=header.number("attention.value_length_mla") or 0,
        q_rank=header.number("attention.q_lora_rank"),
    )


def _window(header: GgufHeader) -> Window | None:
    count = sum(is_windowed(header, layer) for layer in range(header.block_count or 0))
    return Window(tokens=header.sliding_window or 0, layers=count) if count else None


def _recurrent(header: GgufHeader) -> Recurrent | None:
    found = [layer for layer in range(header.block_count or 0) if recurs(header, layer)]
    if not found:
        return None
    inner, state, groups, conv = _state_shape(header)
    return Recurrent(
        layers=len(found),
        inner=inner,
        state=state,
        groups=groups,
        conv=conv,
        parameters=_mixing_parameters(header, found[0]),
    )


def _state_shape(header: GgufHeader) -> tuple[int, int, int, int]:
    """Inner width, state, groups and taps, so that Recurrent's formula gives llama.cpp's state."""
    width, number = header.embedding_length or 0, header.number
    if head := number("wkv.head_size"):
        return width, head, 0, (number("token_shift_count") or 2) + 1
    if taps := number("shortconv.l_cache"):
        return width, 0, 0, taps
    taps = number("ssm.conv_kernel") or 1
    if head := number("kda.head_dim"):
        return head * _largest(header.head_count), head, 0, 3 * max(taps - 1, 1) + 1
    groups = number("ssm.group_count") or 0
    return number("ssm.inner_size") or 0, number("ssm.state_size") or 0, groups, taps


def _mixing_parameters(header: GgufHeader, layer: int) -> int:
    own = (tensor for tensor in header.tensors if _layer(tensor.name) == layer)
    return sum(prod(tensor.shape) for tensor in own if ".ffn" not in tensor.name)


def _largest(value: PerLayer | None) -> int:
    return max(value, default=0) if isinstance(value, tuple) else value or 0
