"""transformers' memory: the engine's own rules, asked about a directory that may not be here."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pilotlight.core import Footprint
from pilotlight.engines.transformers.memory import predict
from pilotlight.engines.transformers.options import Options
from pilotlight.engines.transformers.sizing import Sizing
from pilotlight.machine import Gpu, Machine
from pilotlight.planner.memory.demand import Fit, Lack, Load, Room
from pilotlight.planner.memory.verdict import most, refused, too_small
from pilotlight.planner.model import PlannedModel
from pilotlight.planner.synthetic import checkpoint_of

MOST = 256


def fit(model: PlannedModel, load: Load, room: Room) -> Fit:
    if objection := _objection(model, load):
        return refused(objection)
    placed = _placed(model, load.context, room, load.sequences)
    devices = tuple(placed.gpu_bytes.get(f"CUDA{index}", 0) for index in range(len(room.gpus)))
    moved = -placed.parts.get("offloaded", 0)
    answer = Fit(
        fits=True,
        reason="",
        ram_bytes=placed.ram_bytes,
        gpu_bytes=devices,
        parts=placed.parts,
        gpu_parts=_gpu_parts(placed, devices) if moved else {},
        sequences=_fitting(model, load.context, room),
        pool_bytes=placed.parts.get("kv", 0),
        gpu_share=1.0 if devices else 0.0,
        arithmetic="PyTorch's peak as measured, with every answer at its full context",
        options=_engine_options(load, room),
    )
    lack = _lack(placed, room)
    return too_small(answer, *lack) if lack else answer


def _objection(model: PlannedModel, load: Load) -> str | None:
    if model.format != "safetensors":
        return f"transformers reads safetensors, and {model.quantization} is a GGUF file"
    if load.kv_type is not None:
        return f"transformers keeps its cache in the model's own type, not {load.kv_type!r}"
    if load.sequences > MOST:
        return f"transformers works on at most {MOST} sequences at once, not {load.sequences}"
    return None


@lru_cache(maxsize=4096)
def _fitting(model: PlannedModel, context: int, room: Room) -> int:
    return most(MOST, lambda count: _lack(_placed(model, context, room, count), room) is None)


def _placed(model: PlannedModel, context: int, room: Room, sequences: int) -> Footprint:
    options = Options(
        context=context,
        parallel=sequences,
        device_map="balanced" if len(room.gpus) > 1 else None,
    )
    sizing = Sizing(context, generates=True, embeds=False, pooling="last", template=None)
    gpus = tuple(Gpu(index, "planned", size) for index, size in enumerate(room.gpus))
    machine = Machine("planned", 1, room.ram_bytes, gpus, room.instruction_sets)
    return predict(checkpoint_of(model), options, sizing, machine)


def _lack(placed: Footprint, room: Room) -> tuple[Lack, int] | None:
    over = max(
        (placed.gpu_bytes.get(f"CUDA{index}", 0) - size for index, size in enumerate(room.gpus)),
        default=0,
    )
    if over > 0:
        return "gpu", over
    over = placed.ram_bytes - room.ram_bytes
    return ("ram", over) if over > 0 else None


def _gpu_parts(placed: Footprint, devices: tuple[int, ...]) -> dict[str, int]:
    """Of the fullest device, of which each has an equal share of what moved there."""
    shares = {
        name: placed.parts.get(name, 0) // len(devices) for name in ("weights", "kv", "compute")
    }
    return {**shares, "context": max(devices) - sum(shares.values())}


def _engine_options(load: Load, room: Room) -> dict[str, Any]:
    options: dict[str, Any] = {"context": load.context, "parallel": load.sequences}
    if len(room.gpus) > 1:
        options["device_map"] = "balanced"
    return options
