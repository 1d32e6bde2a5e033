"""A plan's memory by its engine's own word, which goes before the formula's."""

from __future__ import annotations

from dataclasses import replace

from pilotlight.core import Footprint
from pilotlight.planner.plan import Answer, Memory, Plan, Rejection
from pilotlight.planner.rank import numbered, undominated
from pilotlight.quantities import about_bytes


def with_footprint(answer: Answer, plan: Plan, found: Footprint) -> Answer:
    """`answer` with what `plan` takes as its engine says, or without it where that isn't there."""
    memory = _stated(plan, found)
    short_bytes = memory.used_bytes - memory.available_bytes
    if short_bytes <= 0:
        return _with(answer, plan, replace(plan, memory=memory))
    reason = f"doesn't fit by {about_bytes(short_bytes)}, as {plan.deployment.engine} itself says"
    missed = replace(plan, memory=memory, misses=(reason,))
    rejection = Rejection(family=plan.name, reason=reason, candidates=1, kind="memory")
    left = _with(answer, plan, None)
    return replace(
        left,
        rejections=(rejection, *left.rejections),
        nearest=() if left.plans else numbered([missed]),
    )


def _stated(plan: Plan, found: Footprint) -> Memory:
    said = "was measured" if found.source == "measured" else "the engine itself says"
    return replace(
        plan.memory,
        used_bytes=max(found.gpu_bytes.values(), default=0) or found.ram_bytes,
        parts=dict(found.parts),
        rule=found.source,
        arithmetic=f"as {said} of this file and these options",
    )


def _with(answer: Answer, plan: Plan, other: Plan | None) -> Answer:
    exchanged = (other if each is plan else each for each in answer.plans)
    plans = numbered(each for each in exchanged if each is not None)
    return replace(answer, plans=plans, front=undominated(plans))
