"""The engines that can be tuned, by name. Whichever else there is, is tried as it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pilotlight.engines.vllm.options import ALIASES as VLLM_ALIASES
from pilotlight.tune.setting import Setting
from pilotlight.tune.space import Axis, Space
from pilotlight.tune.spaces import llamacpp, transformers, vllm
from pilotlight.tune.spaces.terrain import Terrain


@dataclass(frozen=True, slots=True)
class Tunable:
    axes: Callable[[Terrain], tuple[Axis, ...]]
    starts: Callable[[Setting, Terrain], tuple[Setting, ...]]
    aliases: Mapping[str, str] | None = None
    """Other names of its options."""


TUNABLE: Mapping[str, Tunable] = {
    "llamacpp": Tunable(llamacpp.axes, llamacpp.starts),
    "vllm": Tunable(vllm.axes, vllm.starts, VLLM_ALIASES),
    "transformers": Tunable(transformers.axes, transformers.starts),
}


def draw(
    settings: Sequence[Setting],
    terrain: Terrain,
    *,
    fixed: Sequence[str] = (),
    without: Collection[str] = (),
    same_answers: bool = False,
) -> Space:
    """The space around `settings`, the first of which is the default.

    `fixed` are options that stay as the settings have them; `without` are names of axes that the
    workload can't judge; `same_answers` leaves out whatever changes more than the speed.
    """
    axes: dict[str, tuple[Axis, ...]] = {}
    starts: list[Setting] = []
    for setting in settings:
        tunable = TUNABLE.get(setting.engine)
        starts.append(setting)
        if tunable is None:
            continue
        here = replace(terrain, given=setting.options)
        kept = _names(fixed, tunable)
        found = tunable.axes(here)
        axes[setting.engine] = tuple(
            axis
            for axis in found
            if not (kept & set(axis.options))
            and axis.name not in without
            and not (same_answers and axis.changes_answers)
        )
        starts += [each for each in tunable.starts(setting, here) if _keeps(each, setting, kept)]
    return Space(default=settings[0], starts=tuple(starts[1:]), axes=axes)


def _names(fixed: Sequence[str], tunable: Tunable) -> set[str]:
    """Under whichever name they were fixed."""
    aliases = tunable.aliases or {}
    return {aliases.get(name, name) for name in fixed}


def _keeps(one: Setting, other: Setting, kept: set[str]) -> bool:
    return all(one.options.get(name) == other.options.get(name) for name in kept)
