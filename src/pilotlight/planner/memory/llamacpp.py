"""llama.cpp's memory: the engine's own rules, asked about a model that may not be here yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from pilotlight.core import Footprint
from pilotlight.engines.llamacpp import cache, memory, offload
from pilotlight.engines.llamacpp.compute import compute_bytes
from pilotlight.engines.llamacpp.options import CACHE_TYPES, Options
from pilotlight.engines.llamacpp.sizing import size
from pilotlight.machine import Gpu
from pilotlight.planner.memory.demand import Fit, Lack, Load, Room
from pilotlight.planner.memory.verdict import most, refused, too_small
from pilotlight.planner.model import PlannedModel
from pilotlight.planner.synthetic import header_of

MOST = 256
"""Slots that llama.cpp has (LLAMA_MAX_SEQ in llama-cparams.h)."""

FEATURES: Mapping[str, frozenset[str]] = {
    "avx512": frozenset({"avx2"}),
    "avx512-vnni": frozenset({"avx2"}),
    "amx": frozenset({"avx2", "amx_int8"}),
    "neon": frozenset({"asimddp"}),
    "neon-i8mm": frozenset({"asimddp"}),
}
"""What decides about copies, by the catalog's words for processors."""

PROCESS_BYTES = 35 * 2**20
"""Of the wheel's process; llama-server takes 22 MiB."""


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """One model's bytes as far as they don't depend on how many sequences there are."""

    model: PlannedModel
    options: Options
    """For one sequence."""

    layer_weights: tuple[int, ...]
    """By layer, the output last."""

    slot_caches: tuple[cache.LayerCache, ...]
    weights_bytes: int
    tokenizer_bytes: int

    @property
    def layers(self) -> int:
        return len(self.layer_weights)


@dataclass(frozen=True, slots=True)
class Placement:
    """A sheet in a room, with so many of its last layers on GPUs."""

    sheet: Sheet
    room: Room
    gpu_layers: int | None

    def at(self, sequences: int) -> Footprint:
        options = replace(self.sheet.options, parallel=sequences, gpu_layers=self.gpu_layers)
        host = memory.Host(PROCESS_BYTES, self.room.instruction_sets, _gpus(self.room))
        return memory.footprint(demand(self.sheet, sequences), options, host)

    def lack(self, placed: Footprint) -> tuple[Lack, int] | None:
        """Where bytes are lacking, and how many; the GPU's lack first."""
        devices = zip(by_device(placed, self.room), self.room.gpus, strict=True)
        over = max((used - size for used, size in devices), default=0)
        if over > 0:
            return "gpu", over
        over = placed.ram_bytes - self.room.ram_bytes
        return ("ram", over) if over > 0 else None


def fit(model: PlannedModel, load: Load, room: Room) -> Fit:
    if objection := _objection(model, load):
        return refused(objection)
    mapped = _place(model, load, room, mmap=None)
    unmapped = mapped if room.gpus else _place(model, load, room, mmap=False)
    placed = mapped.at(load.sequences)
    # A map leaves originals resident beside their copies: faster to start, larger to hold.
    chosen = mapped if mapped.lack(placed) is None else unmapped
    placed = chosen.at(load.sequences)
    answer = replace(_answer(chosen, load, placed), sequences=_fitting(unmapped))
    lack = chosen.lack(placed)
    return too_small(answer, *lack) if lack else answer


@lru_cache(maxsize=16384)
def _fitting(place: Placement) -> int:
    return most(MOST, lambda count: place.lack(place.at(count)) is None)


def _objection(model: PlannedModel, load: Load) -> str | None:
    if model.format != "gguf":
        return f"llama.cpp reads GGUF files, and {model.quantization} isn't stored in one"
    if (load.kv_type or "f16") not in CACHE_TYPES:
        return f"llama.cpp has no cache of {load.kv_type!r}; it has {', '.join(CACHE_TYPES)}"
    if load.sequences > MOST:
        return f"llama.cpp works on at most {MOST} sequences at once, not {load.sequences}"
    return None


def _place(model: PlannedModel, load: Load, room: Room, *, mmap: bool | None) -> Placement:
    # With a GPU nothing is copied into the CPU's layout.
    named = frozenset[str]() if room.gpus else room.instruction_sets
    sets = frozenset().union(*(FEATURES.get(name, {name}) for name in named))
    sheet = _sheet(model, load.context, load.kv_type, mmap, sets)
    return Placement(sheet, room, _gpu_layers(sheet, load, room))


@lru_cache(maxsize=4096)
def _sheet(
    model: PlannedModel,
    context: int,
    kv_type: str | None,
    mmap: bool | None,
    instruction_sets: frozenset[str],
) -> Sheet:
    header = header_of(model)
    options = Options(
        context=context, parallel=1, cache_type_k=kv_type, cache_type_v=kv_type, mmap=mmap
    )
    by_layer = memory.weights_by_layer(header)
    host = memory.Host(0, instruction_sets, ())
    return Sheet(
        model=model,
        options=options,
        layer_weights=tuple(by_layer.get(at, 0) for at in range((header.block_count or 0) + 1)),
        slot_caches=cache.layers(header, options, size(options, header)),
        weights_bytes=memory.resident_weights(header, options, host),
        tokenizer_bytes=memory.tokenizer_bytes(header),
    )


@lru_cache(maxsize=65536)
def demand(sheet: Sheet, sequences: int) -> memory.Demand:
    """Each slot's cache is as large as the others'."""
    options = replace(sheet.options, parallel=sequences)
    header = header_of(sheet.model)
    caches = [slot.bytes * sequences for slot in sheet.slot_caches]
    snapshots = sum(slot.snapshot_bytes for slot in sheet.slot_caches) * sequences
    layers = zip(sheet.layer_weights, [*caches, 0], strict=True)
    return memory.Demand(
        layers=tuple(map(sum, layers)),
        cache_bytes=sum(caches),
        snapshots_bytes=options.context_checkpoints * snapshots,
        weights_bytes=sheet.weights_bytes,
        compute_bytes=compute_bytes(header, options, size(options, header)),
        tokenizer_bytes=sheet.tokenizer_bytes,
    )


def _gpus(room: Room) -> tuple[Gpu, ...]:
    return tuple(Gpu(index, "planned", size) for index, size in enumerate(room.gpus))


def by_device(placed: Footprint, room: Room) -> tuple[int, ...]:
    return tuple(placed.gpu_bytes.get(f"CUDA{index}", 0) for index in range(len(room.gpus)))


def _gpu_layers(sheet: Sheet, load: Load, room: Room) -> int | None:
    """As many of the last layers as fit beside the working memory and llama.cpp's margin."""
    if not room.gpus:
        return None
    if load.gpu_layers is not None:
        return min(load.gpu_layers, sheet.layers)
    needed = demand(sheet, load.sequences)
    kept = max(offload.MARGIN_BYTES, needed.compute_bytes) + offload.CONTEXT_BYTES
    return _last(needed.layers, sum(max(size - kept, 0) for size in room.gpus))


def _last(layers: Sequence[int], room_bytes: int) -> int:
    for count, layer_bytes in enumerate(reversed(layers)):
        room_bytes -= layer_bytes
        if room_bytes < 0:
            return count
    return len(layers)


def _answer(place: Placement, load: Load, placed: Footprint) -> Fit:
    sheet, layers, room = place.sheet, place.gpu_layers, place.room
    whole = layers is None or layers == sheet.layers
    inner = sheet.layer_weights[:-1]
    on_gpu = sum(inner[sheet.layers - (layers or 0) :])
    whose = "of its file" if sheet.model.source == "header" else "as its file would have"
    return Fit(
        fits=True,
        reason="",
        ram_bytes=placed.ram_bytes,
        gpu_bytes=by_device(placed, room),
        parts=placed.parts,
        gpu_parts=_gpu_parts(place, placed, load.sequences),
        pool_bytes=placed.parts.get("kv", 0),
        gpu_layers=None if whole else layers,
        gpu_share=on_gpu / sum(inner),
        arithmetic=f"llama.cpp's own rules for buffers, with the tensors {whose}",
        options=_engine_options(place, load),
    )


def _gpu_parts(place: Placement, placed: Footprint, sequences: int) -> dict[str, int]:
    fullest = max(by_device(placed, place.room), default=0)
    if not fullest or not place.gpu_layers:
        return {}
    needed, sheet = demand(place.sheet, sequences), place.sheet
    first = sheet.layers - place.gpu_layers
    own = fullest - needed.compute_bytes - offload.CONTEXT_BYTES
    weights = round(own * sum(sheet.layer_weights[first:]) / sum(needed.layers[first:]))
    return {
        "weights": weights,
        "kv": own - weights,
        "compute": needed.compute_bytes,
        "context": offload.CONTEXT_BYTES,
    }


def _engine_options(place: Placement, load: Load) -> dict[str, Any]:
    options: dict[str, Any] = {"context": load.context, "parallel": load.sequences}
    if place.gpu_layers is not None:
        whole = place.gpu_layers == place.sheet.layers
        options["gpu_layers"] = "all" if whole else place.gpu_layers
    if load.kv_type:
        options |= {"cache_type_k": load.kv_type, "cache_type_v": load.kv_type}
    if place.sheet.options.mmap is False:
        options["mmap"] = False
    return options
