"""How a checkpoint's quantization stores each tensor, in safetensors.

Linear layers are packed; embeddings, the output, norms and a mixture's router stay in BF16, for
that is what the quantizers in use leave alone by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pilotlight.planner.tensors import Tensor

GROUP = 128
"""Weights that share one scale in AWQ and GPTQ as published."""


@dataclass(frozen=True, slots=True)
class Storage:
    """`type` is what the packed tensors are in; `bits` counts their scales in."""

    type: str
    bits: float
    experts_only: bool = False
    """Whether only a mixture's experts are packed; a dense model has all of its layers so."""


STORAGES: Mapping[str, Storage] = {
    "F32": Storage("F32", 32),
    "F16": Storage("F16", 16),
    "BF16": Storage("BF16", 16),
    "FP8": Storage("FP8", 8 + 32 / GROUP**2),
    "INT8": Storage("INT8", 8 + 16 / 4096),
    "AWQ": Storage("INT4", 4 + (16 + 4) / GROUP),
    "GPTQ": Storage("INT4", 4 + (16 + 4) / GROUP),
    "NVFP4": Storage("NVFP4", 4 + 8 / 16),
    "MXFP4": Storage("MXFP4", 4 + 8 / 32, experts_only=True),
    "INT4": Storage("INT4", 4 + 16 / 32, experts_only=True),
    "BNB8": Storage("INT8", 8.0),
    "NF4": Storage("NF4", 4 + 32 / 64),
}
"""By quantization: FP8 has a scale a block of 128 x 128, INT8 one a row, NVFP4 and MXFP4 one a
group of 16 and 32, INT4 (Kimi's own) one of 16 bits a group of 32, bitsandbytes' 4 bits one of
32 bits a group of 64."""

WHOLE = frozenset({"F32", "F16", "BF16"})


def storage_of(quantization: str, bits_per_weight: float | None) -> Storage | None:
    """A rule by name, with `bits_per_weight` in place of its own where that is said; those alone,
    for all matrices, where there is no rule."""
    known = STORAGES.get(quantization)
    if bits_per_weight is None:
        return known
    return replace(known or Storage(quantization, bits_per_weight), bits=bits_per_weight)


def type_of(tensor: Tensor, storage: Storage, *, mixture: bool) -> tuple[str, float]:
    """The type of `tensor` in a `mixture` or a dense model, and its bits a weight."""
    packed = _is_linear(tensor) and (
        tensor.role == "expert" or not (mixture and storage.experts_only)
    )
    whole = storage.type in WHOLE
    return (storage.type, storage.bits) if whole or packed else ("BF16", 16)


def _is_linear(tensor: Tensor) -> bool:
    inside = tensor.layer is not None and len(tensor.shape) > 1
    return inside and tensor.kind != "ffn_gate_inp.weight"
