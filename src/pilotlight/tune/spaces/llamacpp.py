"""llama.cpp: slots, batches, threads, attention, cache and guessing ahead."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pilotlight.engines.llamacpp.options import UBATCH, complete
from pilotlight.engines.llamacpp.sizing import BATCH
from pilotlight.tune.setting import Setting
from pilotlight.tune.space import Axis, named, single
from pilotlight.tune.spaces.terrain import Terrain, doublings, thread_counts

MOST_SLOTS = 128

_OWN: Mapping[str, Any] = {
    "parallel": 4,
    "kv_unified": True,
    "batch_size": 2048,
    "ubatch_size": 512,
}
"""What llama-server takes where nothing is said (tools/server, common/common.h)."""

_FLASH = {"auto": {}, "on": {"flash_attention": "on"}, "off": {"flash_attention": "off"}}
_CACHE: Mapping[str, Mapping[str, Any]] = {
    "f16": {},
    # llama.cpp has quantized values only with its fused attention.
    "q8_0": {"cache_type_k": "q8_0", "cache_type_v": "q8_0", "flash_attention": "on"},
}
_PREFIX: Mapping[str, Mapping[str, Any]] = {
    "slots alone": {},
    "in memory": {"cache_ram": "1GiB"},
    "shifted": {"cache_reuse": 64},
}
_GUESSES: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "ngram-simple": {"speculative": "ngram-simple"},
    "ngram-mod": {"speculative": "ngram-mod"},
}


def axes(terrain: Terrain) -> tuple[Axis, ...]:
    own = complete(terrain.given, terrain.machine)
    batches = _Batches(own.batch_size or BATCH, own.ubatch_size or UBATCH, terrain.given)
    slots = {*doublings(1, MOST_SLOTS), own.parallel, *([terrain.users] if terrain.users else [])}
    threads = sorted({*thread_counts(terrain.machine.cores), own.threads})
    return (
        single("parallel", sorted(slots), own.parallel, given=terrain.given),
        single("kv_unified", (False, True), own.kv_unified, given=terrain.given, ordered=False),
        _micro_batch(batches),
        _batch(batches),
        single("threads", threads, own.threads, given=terrain.given),
        single("threads_batch", threads, own.threads_batch or own.threads, given=terrain.given),
        named("flash_attention", _FLASH),
        named("prefix_cache", _PREFIX),
        named("speculative", _GUESSES),
        named("kv_type", _CACHE, changes_answers=True),
    )


def starts(setting: Setting, terrain: Terrain) -> tuple[Setting, ...]:
    """As llama-server would run by itself, and with a slot for everyone."""
    slots = min(MOST_SLOTS, terrain.users or 16)
    own = complete(setting.options, terrain.machine)
    wide = () if slots == own.parallel else (setting.having({"parallel": slots}),)
    return (setting.having(_OWN), *wide)


@dataclass(frozen=True, slots=True)
class _Batches:
    """Both sizes as they are by default; like any axis, they aren't written where they are that."""

    batch: int
    micro: int
    given: Collection[str]

    def of(self, setting: Setting) -> tuple[int, int]:
        options = setting.options
        return options.get("batch_size", self.batch), options.get("ubatch_size", self.micro)

    def options(self, batch: int, micro: int) -> Mapping[str, Any]:
        return {
            "batch_size": self._said("batch_size", batch, self.batch),
            "ubatch_size": self._said("ubatch_size", micro, self.micro),
        }

    def _said(self, name: str, value: int, default: int) -> int | None:
        return None if value == default and name not in self.given else value


def _batch(own: _Batches) -> Axis:
    """Tokens between two looks at what else waits: fewer answer sooner, more read faster."""
    return Axis(
        name="batch_size",
        options=("batch_size",),
        values=doublings(64, 4096),
        read=lambda setting: own.of(setting)[0],
        write=lambda setting, value: own.options(value, min(value, own.of(setting)[1])),
        ordered=True,
    )


def _micro_batch(own: _Batches) -> Axis:
    """Tokens computed in one go; a batch holds at least one of them."""
    return Axis(
        name="ubatch_size",
        options=("ubatch_size",),
        values=doublings(32, 2048),
        read=lambda setting: own.of(setting)[1],
        write=lambda setting, value: own.options(max(value, own.of(setting)[0]), value),
        ordered=True,
    )
