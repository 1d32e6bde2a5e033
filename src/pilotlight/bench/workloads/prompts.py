"""The built-in set: 50 prompts of our own, in four groups by how long their answers are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from pilotlight.bench.ask import Ask
from pilotlight.bench.workloads.ground import Ground
from pilotlight.bench.workloads.options import COUNT, SWITCH, option
from pilotlight.bench.workloads.rounds import rounds, size
from pilotlight.bench.workloads.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Builtin:
    repeat: bool = option(SWITCH, "go on for ever, each round in another order", default=True)
    max_tokens: int | None = option(
        COUNT, "bound answers to this that have none or a wider one", default=None
    )


class _Prompt(msgspec.Struct, forbid_unknown_fields=True):
    group: Literal["short", "short, bounded", "long", "long, bounded"]
    prompt: str
    max_tokens: int | None = None


@cache
def _prompts() -> tuple[_Prompt, ...]:
    lines = files("pilotlight.bench").joinpath("data/prompts.jsonl").read_bytes().splitlines()
    return tuple(msgspec.json.decode(line, type=_Prompt) for line in lines)


async def builtin(options: Builtin, ground: Ground, name: str, seed: int) -> Workload:
    talks = [(_ask(prompt, options.max_tokens),) for prompt in _prompts()]
    cap = f", answers of at most {options.max_tokens} tokens" if options.max_tokens else ""
    return Workload(
        name=name,
        description=f"{len(talks)} varied prompts, short and long answers, bounded and not{cap}",
        draw=rounds(talks, repeat=options.repeat, shuffle=True),
        size=size(talks, repeat=options.repeat),
        seed=seed,
    )


def _ask(prompt: _Prompt, most: int | None) -> Ask:
    limits = [limit for limit in (prompt.max_tokens, most) if limit is not None]
    return Ask(content=prompt.prompt, max_tokens=min(limits, default=None), group=prompt.group)
