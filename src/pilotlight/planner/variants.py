"""A model in each of the quantizations that are worth a look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pilotlight.catalog.model import CatalogModel
from pilotlight.catalog.quantization import Quantization
from pilotlight.planner.model import PlannedModel, from_architecture

LOOKED_AT = (
    "q4_0", "q4_k_m", "q6_k", "q8_0", "f16", "bf16", "fp8", "int8", "awq", "nvfp4", "mxfp4",
    "mxfp4_moe", "int4",
)  # fmt: skip
"""Unless quantizations are named: one of each kind, from 4 bits up."""

_NATIVE: Mapping[str, str] = {"fp16": "bf16"}
"""A publisher's type by the catalog's name of the quantization that keeps it as it is."""

ONLINE = ("fp8",)
"""What vLLM itself makes of wider weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """`row` is the catalog's; None for a model that only its own header tells of."""

    model: PlannedModel
    quantization: Quantization
    row: CatalogModel | None = None

    quantize: str | None = None
    """What vLLM makes of wider weights as it loads them."""

    @property
    def ref(self) -> str | None:
        """Where exactly these bytes are to be had; None where nobody is known to publish them."""
        return self.model.ref


def variants(
    row: CatalogModel, quantizations: Mapping[str, Quantization], wanted: Sequence[str] = ()
) -> tuple[Variant, ...]:
    """Of a catalog's model, from its shape. Without `wanted` what `LOOKED_AT` names and exists.

    Nobody gains by more bits than the publisher's own: a model born in 8 or 4 bits has none.
    """
    names = tuple(wanted) or tuple(name for name in LOOKED_AT if name in quantizations)
    native = _NATIVE.get(row.native, row.native)
    born = quantizations[native].bits_per_weight if native in quantizations else 16.0
    chosen = [quantizations[name] for name in names]
    if not wanted:
        chosen = [
            q for q in chosen if q.name == native or q.bits_per_weight <= max(born, 4.0) + 0.6
        ]
        chosen = [q for q in chosen if _suits(q, native)]
    return tuple(_variant(row, quantization, native) for quantization in chosen)


def _suits(quantization: Quantization, native: str) -> bool:
    """MXFP4 is what a model was trained in, not made into; such a one's rows don't fill K-quants'
    blocks."""
    if native == "mxfp4":
        return quantization.name.startswith("mxfp4")
    if quantization.name == "int4":
        return native == "int4"
    return not quantization.name.startswith("mxfp4")


def _variant(row: CatalogModel, quantization: Quantization, native: str) -> Variant:
    model = from_architecture(
        row.name,
        row.architecture,
        quantization.name.upper(),
        ref=_ref(row, quantization, native),
        bits_per_weight=None if quantization.format == "gguf" else quantization.bits_per_weight,
        format=quantization.format,
    )
    made = quantization.name in ONLINE and quantization.name != native
    return Variant(
        model=model,
        quantization=quantization,
        row=row,
        quantize=quantization.name if made else None,
    )


def _ref(row: CatalogModel, quantization: Quantization, native: str) -> str | None:
    if quantization.format == "gguf":
        return row.gguf_ref(quantization.name)
    return row.ref if quantization.name in (native, *ONLINE) else None


def exactly(model: PlannedModel, quantizations: Mapping[str, Quantization]) -> tuple[Variant, ...]:
    """A model whose files were looked at: as they are, and what an engine makes of wide weights."""
    as_it_is = Variant(model=model, quantization=_row_of(model, quantizations))
    if model.format != "safetensors" or model.quantization not in ("BF16", "F16", "F32"):
        return (as_it_is,)
    made = [
        Variant(
            model=from_architecture(
                model.name, model.architecture, name.upper(), ref=model.ref, source=model.source
            ),
            quantization=quantizations[name],
            quantize=name,
        )
        for name in ONLINE
        if name in quantizations
    ]
    return (as_it_is, *made)


def _row_of(model: PlannedModel, quantizations: Mapping[str, Quantization]) -> Quantization:
    """The catalog's, or for a mix that it lacks one that says what the header does."""
    named = quantizations.get(model.quantization.lower())
    if named is not None and named.format == model.format:
        return named
    return Quantization(
        name=model.quantization.lower(),
        title=model.quantization,
        format=model.format,
        engines=("llamacpp",) if model.format == "gguf" else ("vllm", "transformers"),
        bits_per_weight=model.weights.bits_per_weight,
        source="the file's own header",
        as_of=date.min,
    )
