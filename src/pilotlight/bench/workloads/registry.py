"""The kinds of workload by name, and the one way to have one made."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pilotlight.bench.target import Target
from pilotlight.bench.tokens.library import file_tokenizer
from pilotlight.bench.tokens.tokenizer import Tokenizer
from pilotlight.bench.workloads import jsonl, made, prompts, sharegpt, trace
from pilotlight.bench.workloads.ground import Ground
from pilotlight.bench.workloads.options import Counted, OptionFacts, facts, read_options
from pilotlight.bench.workloads.spec import WorkloadSpec, parse_spec
from pilotlight.bench.workloads.workload import Workload
from pilotlight.errors import BenchError

Make = Callable[[Any, Ground, str, int], Awaitable[Workload]]


@dataclass(frozen=True, slots=True)
class WorkloadKind:
    description: str
    options_class: type
    make: Make
    counts: bool
    """Tokens are counted by the model's server while it is made: the model is started by that."""

    @property
    def options(self) -> tuple[OptionFacts, ...]:
        return tuple(facts(self.options_class))


KINDS: Mapping[str, WorkloadKind] = MappingProxyType({
    "builtin": WorkloadKind(
        "50 varied prompts: short and long answers, bounded and not",
        prompts.Builtin, prompts.builtin, counts=False,
    ),
    "fixed": WorkloadKind(
        "made prompts and answers of one length", made.Fixed, made.fixed, counts=True
    ),
    "distributed": WorkloadKind(
        "made prompts and answers, lengths drawn from distributions",
        made.Distributed, made.distributed, counts=True,
    ),
    "shared-prefix": WorkloadKind(
        "made prompts that start with one of a few long prefixes",
        made.SharedPrefix, made.shared_prefix, counts=True,
    ),
    "sessions": WorkloadKind(
        "made conversations of several turns, with pauses to think",
        made.Sessions, made.sessions, counts=True,
    ),
    "jsonl": WorkloadKind(
        "requests from a file of JSON lines", jsonl.Jsonl, jsonl.jsonl, counts=False
    ),
    "sharegpt": WorkloadKind(
        "conversations from a ShareGPT file", sharegpt.ShareGpt, sharegpt.sharegpt, counts=True
    ),
    "trace": WorkloadKind(
        "recorded times and lengths: Azure's CSV or Mooncake's JSON lines",
        trace.FromFile, trace.from_file, counts=True,
    ),
    "sample": WorkloadKind(
        "300 recorded requests of Azure's LLM inference trace 2023",
        trace.Sample, trace.sample, counts=True,
    ),
})  # fmt: skip


def check(asked: str | Mapping[str, Any] | WorkloadSpec) -> WorkloadSpec:
    """What is asked for, with its options read; no server is asked.

    Raises BenchError: no such kind, an unknown option or a wrong value.
    """
    spec = parse_spec(asked)
    if spec.kind not in KINDS:
        near = difflib.get_close_matches(spec.kind, KINDS, 1)
        raise BenchError(
            f"no workload is called {spec.kind!r}",
            hint=f"did you mean {near[0]!r}?" if near else f"there are {', '.join(KINDS)}",
        )
    read_options(KINDS[spec.kind].options_class, spec.options, spec.kind)
    return spec


def counts(asked: str | Mapping[str, Any] | WorkloadSpec) -> bool:
    """Whether what is made depends on whose tokens they are. Raises as `check` does."""
    return KINDS[check(asked).kind].counts


async def prepare(
    asked: str | Mapping[str, Any] | WorkloadSpec,
    *,
    target: Target | None = None,
    tokenizer: Tokenizer | None = None,
    seed: int = 0,
) -> Workload:
    """Everything that takes a file or a server, so that nothing does while a run is measured.

    Kinds that count ask `target` for it, and start its model by that; `tokenizer` counts instead
    where given, and the server is then asked only for what it adds to a prompt.

    Raises:
        BenchError: the workload is wrong, or its file.
        ServerError: the server can't be reached, or doesn't count.
    """
    spec = check(asked)
    kind = KINDS[spec.kind]
    options: Any = read_options(kind.options_class, spec.options, spec.kind)
    if tokenizer is None and isinstance(options, Counted) and options.tokenizer is not None:
        tokenizer = file_tokenizer(options.tokenizer)
    return await kind.make(options, Ground(target, tokenizer), spec.text, seed)
