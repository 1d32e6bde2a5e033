"""vLLM: sequences, batched tokens, prefix cache, cache type and guessing ahead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.engines.vllm.options import complete
from pilotlight.tune.setting import Setting
from pilotlight.tune.space import Axis, named, single
from pilotlight.tune.spaces.terrain import Terrain, doublings, thread_counts

BATCHED_TOKENS = 2048
"""What vLLM takes for serving where nothing is said, but for the largest GPUs."""

_PREFIX: Mapping[str, Mapping[str, Any]] = {
    "its own": {},
    "on": {"enable_prefix_caching": True},
    "off": {"enable_prefix_caching": False},
}
_GUESSES: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "ngram": {
        "speculative_config": {
            "method": "ngram",
            "num_speculative_tokens": 4,
            "prompt_lookup_max": 4,
        }
    },
}
_MODES: Mapping[str, Mapping[str, Any]] = {
    "its own": {},
    "throughput": {"performance_mode": "throughput"},
    "interactivity": {"performance_mode": "interactivity"},
}
_CACHE: Mapping[str, Mapping[str, Any]] = {"auto": {}, "fp8": {"kv_cache_dtype": "fp8"}}


def axes(terrain: Terrain) -> tuple[Axis, ...]:
    gpu = bool(terrain.machine.gpus)
    own = complete(terrain.given, terrain.machine, gpu)
    users = [terrain.users] if terrain.users else []
    sequences = sorted({*doublings(1, 1024 if gpu else 128), own.max_num_seqs, *users})
    found = [
        single("max_num_seqs", sequences, own.max_num_seqs, given=terrain.given),
        single(
            "max_num_batched_tokens",
            doublings(256, 32768 if gpu else 8192),
            own.max_num_batched_tokens or BATCHED_TOKENS,
            given=terrain.given,
        ),
        named("prefix_cache", _PREFIX),
        named("speculative", _GUESSES),
    ]
    if gpu:
        return (*found, named("mode", _MODES), named("kv_type", _CACHE, changes_answers=True))
    cores = terrain.machine.cores
    return (
        *found,
        single("threads", thread_counts(cores), own.threads or cores, given=terrain.given),
    )


def starts(setting: Setting, terrain: Terrain) -> tuple[Setting, ...]:
    """With a place in the batch for everyone."""
    return (setting.having({"max_num_seqs": terrain.users}),) if terrain.users else ()
