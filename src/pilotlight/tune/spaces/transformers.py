"""transformers: answers in one batch, how prompts are read, threads and attention."""

from __future__ import annotations

from pilotlight.engines.transformers.options import complete
from pilotlight.tune.setting import Setting
from pilotlight.tune.space import Axis, named, single
from pilotlight.tune.spaces.terrain import Terrain, doublings, thread_counts

_ATTENTION = {
    "its own": {},
    "sdpa": {"attn_implementation": "sdpa"},
    "eager": {"attn_implementation": "eager"},
}


def axes(terrain: Terrain) -> tuple[Axis, ...]:
    own = complete(terrain.given, terrain.machine)
    users = [terrain.users] if terrain.users else []
    slots = sorted({*doublings(1, 128), own.parallel, *users})
    threads = sorted({*thread_counts(terrain.machine.cores), own.threads})
    return (
        single("parallel", slots, own.parallel, given=terrain.given),
        single("prefill_chunk", doublings(64, 4096), own.prefill_chunk, given=terrain.given),
        single("threads", threads, own.threads, given=terrain.given),
        named("attention", _ATTENTION),
    )


def starts(setting: Setting, terrain: Terrain) -> tuple[Setting, ...]:
    return (setting.having({"parallel": min(256, terrain.users)}),) if terrain.users else ()
