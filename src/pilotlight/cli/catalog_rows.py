"""Rows of the catalog for a reader: as entries, cells of a table, and pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from pilotlight.catalog.parameters import count

if TYPE_CHECKING:
    from pilotlight.catalog.api import ApiPrice
    from pilotlight.catalog.hardware import Cpu, Gpu
    from pilotlight.catalog.model import CatalogModel
    from pilotlight.catalog.platform import Offer, Platform
    from pilotlight.catalog.quantization import Quantization
    from pilotlight.catalog.row import Row
    from pilotlight.catalog.slo import Slo

Cells = tuple[str, ...]


def entry(row: Row) -> dict[str, Any]:
    """Plain data, and what follows from it."""
    found: dict[str, Any] = msgspec.to_builtins(row)
    return {**found, **DERIVED.get(type(row).__name__, lambda row: {})(row)}


def lines(kind: str, row: Row) -> Iterator[str]:
    facts = dict(_flat(entry(row)))
    width = max(map(len, facts))
    yield f"{kind}/{row.name}"
    for name, value in facts.items():
        if name != "name":
            yield f"  {name:<{width}}  {value}"


def _flat(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Leaves with dotted names; what is unknown is left out."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for number, item in enumerate(value):
                yield from _flat(item, f"{above}{name}[{number}].")
        elif isinstance(value, list) and value:
            yield f"{above}{name}", ", ".join(map(str, value))
        elif value not in (None, [], ""):
            yield f"{above}{name}", _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)


def _number(value: float | None, unit: str = "") -> str:
    return "" if value is None else f"{value:,.6g}{unit}"


def _billions(parameters: int | None) -> str:
    return "" if parameters is None else f"{parameters / 1e9:.3g}B"


def _model(row: CatalogModel) -> dict[str, Any]:
    parts = count(row.architecture)
    return {
        "grade": row.grade,
        "summed_parameters": parts.total,
        "multiplied_parameters": parts.active,
    }


DERIVED: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "CatalogModel": _model,
    "Gpu": lambda row: {"memory_bytes": row.memory_bytes},
    "Cpu": lambda row: {"bandwidth_gb_s": row.bandwidth_gb_s},
}


def _gpu_cells(row: Gpu) -> Cells:
    return (
        f"{row.memory_bytes / 1e9:.0f}",
        _number(row.bandwidth_gb_s),
        _number(row.fp16_tflops),
        _number(row.fp8_tflops),
        _number(row.int8_tops),
        _number(row.tdp_w),
        _number(row.nvlink_gb_s),
    )


def _cpu_cells(row: Cpu) -> Cells:
    cores = f"{row.cores}×{row.threads_per_core}" if row.threads_per_core > 1 else str(row.cores)
    return (
        cores,
        _number(row.bandwidth_gb_s),
        _number(row.clock_ghz),
        row.instructions,
        _number(row.tdp_w),
    )


def _quantization_cells(row: Quantization) -> Cells:
    return (
        row.format,
        _number(row.bits_per_weight),
        _number(row.kl_divergence),
        _number(row.bandwidth_share),
        row.compute,
        ",".join(row.engines),
    )


def _model_cells(row: CatalogModel) -> Cells:
    shape = row.architecture
    marks = {
        "MoE": shape.experts,
        "MLA": shape.latent,
        "window": shape.window,
        "recurrent": shape.recurrent,
    }
    return (
        _billions(row.parameters),
        _billions(row.active_parameters),
        row.grade,
        ",".join(name for name, part in marks.items() if part) or "dense",
        f"{shape.context:,}",
        ",".join(row.skills),
    )


def _slo_cells(row: Slo) -> Cells:
    return (
        _number(row.ttft_ms, " ms"),
        _number(row.tpot_ms, " ms"),
        f"p{row.percentile:g}",
        row.model or "",
        row.title,
    )


def _platform_cells(row: Platform) -> Cells:
    return (
        row.provider,
        row.family,
        row.billing.kind,
        "yes" if row.limits.scale_to_zero else "no",
        row.title,
    )


def _offer_cells(row: Offer) -> Cells:
    return (
        row.platform,
        _number(row.vcpus),
        _number(row.memory_gib),
        f"{row.gpus}×{row.gpu}" if row.gpu else "",
        _number(row.usd_per_hour),
        row.cpu,
    )


def _api_cells(row: ApiPrice) -> Cells:
    return (
        _number(row.input_usd_per_mtok),
        _number(row.output_usd_per_mtok),
        _number(row.cached_input_usd_per_mtok),
        row.model or "",
    )


COLUMNS: Mapping[str, tuple[Cells, Callable[[Any], Cells]]] = {
    "gpus": (("GB", "GB/s", "FP16 TF", "FP8 TF", "INT8 TOP", "W", "LINK GB/s"), _gpu_cells),
    "cpus": (("CORES", "GB/s", "GHz", "INSTRUCTIONS", "W"), _cpu_cells),
    "quantizations": (
        ("FORMAT", "BITS", "KLD", "BANDWIDTH", "COMPUTE", "ENGINES"),
        _quantization_cells,
    ),
    "models": (
        ("PARAMETERS", "ACTIVE", "GRADE", "KIND", "CONTEXT", "SKILLS"),
        _model_cells,
    ),
    "slos": (("TTFT", "TPOT", "AT", "MODEL", "FOR"), _slo_cells),
    "platforms": (("PROVIDER", "FAMILY", "BILLING", "TO ZERO", "TITLE"), _platform_cells),
    "offers": (("PLATFORM", "VCPUS", "GIB", "GPUS", "USD/H", "CPU"), _offer_cells),
    "apis": (("IN $/M", "OUT $/M", "CACHED $/M", "MODEL"), _api_cells),
}
