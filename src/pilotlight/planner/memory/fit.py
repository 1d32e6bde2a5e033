"""One question for every engine: does this model fit here, and for how many sequences?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache

from pilotlight.errors import PlanError
from pilotlight.planner import thumb
from pilotlight.planner.memory import llamacpp, transformers, vllm
from pilotlight.planner.memory.demand import Fit, Load, Room
from pilotlight.planner.model import PlannedModel

Rule = Callable[[PlannedModel, Load, Room], Fit]

ENGINES: Mapping[str, Rule] = {
    "llamacpp": llamacpp.fit,
    "vllm": vllm.fit,
    "transformers": transformers.fit,
}


def fit(model: PlannedModel, engine: str, load: Load, room: Room) -> Fit:
    """What `model` takes of `room` under `load`. `fits` says whether that is there.

    Raises:
        PlanError: nobody knows `engine`, or the load asks for nothing or too much of the model.
    """
    if engine not in ENGINES:
        raise PlanError(
            f"no rule tells the memory of the engine {engine!r}",
            hint=f"plan for one of {', '.join(ENGINES)}",
        )
    _check(model, load)
    return _fit(model, engine, load, room)


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
