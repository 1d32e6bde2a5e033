"""One question for every engine: does this model fit here, and for how many sequences?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache

from pilotlight.core import Footprint
from pilotlight.errors import PlanError
from pilotlight.planner import thumb
from pilotlight.planner.memory import llamacpp, transformers, vllm
from pilotlight.planner.memory.demand import Fit, Lack, Load, Room
from pilotlight.planner.memory.verdict import too_small
from pilotlight.planner.model import PlannedModel

Rule = Callable[[PlannedModel, Load, Room], Fit]

ENGINES: Mapping[str, Rule] = {
    "llamacpp": llamacpp.fit,
    "vllm": vllm.fit,
    "transformers": transformers.fit,
}


def fit(
    model: PlannedModel, engine: str, load: Load, room: Room, *, answer: Footprint | None = None
) -> Fit:
    """What `model` takes of `room` under `load`. `fits` says whether that is there.

    `answer` is the engine's own word for this very model, load and machine, or a measurement;
    it stands instead of the formula's bytes.

    Raises:
        PlanError: nobody knows `engine`, or the load asks for nothing or too much of the model.
    """
    if engine not in ENGINES:
        raise PlanError(
            f"no rule tells the memory of the engine {engine!r}",
            hint=f"plan for one of {', '.join(ENGINES)}",
        )
    _check(model, load)
    found = _fit(model, engine, load, room)
    return _corrected(found, answer, room) if answer else found


def _check(model: PlannedModel, load: Load) -> None:
    if load.sequences < 1 or load.context < 1:
        raise PlanError(
            f"{load.sequences} sequences of {load.context} tokens are no load",
            hint="plan for at least one sequence of at least one token",
        )
    if model.context and load.context > model.context:
        raise PlanError(
            f"a context of {load.context} tokens is beyond the {model.context} that "
            f"{model.name!r} was trained for",
            hint=f"ask for at most {model.context}, or take a model with a longer context",
        )


@lru_cache(maxsize=16384)
def _fit(model: PlannedModel, engine: str, load: Load, room: Room) -> Fit:
    found = ENGINES[engine](model, load, room)
    remark = thumb.crowding(found.gpu_parts.get("weights", 0), min(room.gpus)) if room.gpus else ""
    if not (found.fits and remark):
        return found
    return replace(found, arithmetic=f"{found.arithmetic}; {remark}")


def _corrected(found: Fit, answer: Footprint, room: Room) -> Fit:
    """`found` with the bytes that `answer` states; devices in the order that it names them."""
    devices = tuple(answer.gpu_bytes.values())[: len(room.gpus)]
    devices += (0,) * (len(room.gpus) - len(devices))
    corrected = replace(
        found,
        fits=found.lacks != "engine",
        reason=found.reason if found.lacks == "engine" else "",
        lacks=found.lacks if found.lacks == "engine" else None,
        short_bytes=0,
        ram_bytes=answer.ram_bytes,
        gpu_bytes=devices,
        parts=answer.parts or {"all": answer.ram_bytes},
        gpu_parts={"all": max(devices)} if any(devices) else {},
        rule=answer.source,
        arithmetic=f"as {'measured' if answer.source == 'measured' else 'the engine itself says'}",
    )
    lack = _lack(corrected, room)
    return too_small(corrected, *lack) if corrected.fits and lack else corrected


def _lack(found: Fit, room: Room) -> tuple[Lack, int] | None:
    over = max(
        (used - size for used, size in zip(found.gpu_bytes, room.gpus, strict=True)), default=0
    )
    if over > 0:
        return "gpu", over
    over = found.ram_bytes - room.ram_bytes
    return ("ram", over) if over > 0 else None
