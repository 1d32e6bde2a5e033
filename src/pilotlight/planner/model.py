"""A model as plans see it: its shape, and what its weights take in one quantization."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from pilotlight.catalog.architecture import Architecture
from pilotlight.errors import PlanError
from pilotlight.planner import mixes, storage
from pilotlight.planner.tensors import tensors
from pilotlight.planner.weights import METADATA_BYTES, Format, WeightGroup, Weights
from pilotlight.store.gguf import GgufHeader

Source = Literal["header", "config", "catalog"]

ALIASES = {
    "Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "FP16": "F16", "BNB4": "NF4",
}  # fmt: skip
"""What llama-quantize and people also say."""

BOTH = frozenset({"F32", "F16", "BF16"})
"""Quantizations that either format stores."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlannedModel:
    """One model in one quantization. Two are equal if they are the same object."""

    name: str
    architecture: Architecture
    quantization: str
    """A mix of llama.cpp, such as ``Q4_K_M``, or a name in storage.STORAGES, such as ``FP8``."""

    format: Format
    weights: Weights
    source: Source
    """Whether the weights were counted in a header, or follow from a config or a catalog row."""

    ref: str | None = None
    header: GgufHeader | None = field(default=None, repr=False)
    """Of the file, where it was read."""

    @property
    def parameters(self) -> int:
        return self.weights.parameters

    @property
    def active_parameters(self) -> int:
        """What one token passes: all but the experts that it isn't sent to."""
        weights, experts = self.weights, self.architecture.experts
        chosen = weights.parameters_of("expert") * experts.used // experts.count if experts else 0
        return weights.parameters_of("dense", "head", "lookup") + chosen

    @property
    def context(self) -> int:
        """Tokens it was trained to look back on."""
        return self.architecture.context


def from_architecture(
    name: str,
    architecture: Architecture,
    quantization: str,
    *,
    format: Format | None = None,
    bits_per_weight: float | None = None,
    ref: str | None = None,
    source: Source = "catalog",
) -> PlannedModel:
    """What `quantization` makes of a model of this shape, as its tool does by default.

    `format` chooses for the floats that both formats store; without it they are safetensors.
    `bits_per_weight` is of the matrices it packs in safetensors, where a catalog says so; a
    quantization that has no rule here needs it.

    Raises:
        PlanError: nobody knows how `quantization` stores a tensor.
    """
    wanted = ALIASES.get(quantization.upper(), quantization.upper())
    chosen = format or ("safetensors" if wanted in storage.STORAGES else "gguf")
    return PlannedModel(
        name=name,
        architecture=architecture,
        quantization=wanted,
        format=chosen if wanted in BOTH | mixes.BASE.keys() else "safetensors",
        weights=_weights(architecture, wanted, chosen, bits_per_weight),
        source=source,
        ref=ref,
    )


@lru_cache(maxsize=4096)
def _weights(
    architecture: Architecture, quantization: str, format: Format, bits_per_weight: float | None
) -> Weights:
    if format == "gguf" and quantization in mixes.BASE:
        return _mixed(architecture, quantization)
    rule = storage.storage_of(quantization, bits_per_weight)
    if rule is None:
        raise _unknown(quantization)
    return Weights.of(_stored(architecture, rule))


def _mixed(architecture: Architecture, mix: str) -> Weights:
    kinds = mixes.types(architecture, mix)
    groups = []
    for tensor in tensors(architecture):
        kind = kinds[tensor.name]
        size_bytes = mixes.stored_bytes(tensor, kind)
        groups.append(WeightGroup(tensor.role, kind, tensor.parameters, size_bytes))
    return Weights.of(groups, overhead_bytes=architecture.vocabulary * METADATA_BYTES)


def _stored(architecture: Architecture, rule: storage.Storage) -> list[WeightGroup]:
    groups = []
    for tensor in tensors(architecture):
        kind, bits = storage.type_of(tensor, rule, mixture=architecture.experts is not None)
        count = tensor.parameters
        groups.append(WeightGroup(tensor.role, kind, count, round(count * bits / 8)))
    return groups


def _unknown(quantization: str) -> PlanError:
    known = sorted(storage.STORAGES.keys() | mixes.BASE.keys())
    return PlanError(
        f"nobody knows how the quantization {quantization!r} stores a model",
        hint=f"use one of {', '.join(known)}, or add a catalog row with its bits per weight",
    )
