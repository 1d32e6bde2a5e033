"""Recorded traffic, replayed: its times, its lengths, and where it has them its shared blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from random import Random

from pilotlight.bench.ask import Ask, Kind
from pilotlight.bench.tokens.wording import Wording
from pilotlight.bench.workloads.ground import Ground, Making
from pilotlight.bench.workloads.made import KIND
from pilotlight.bench.workloads.options import COUNT, PATH, Counted, one_of, option
from pilotlight.bench.workloads.workload import Workload
from pilotlight.errors import BenchError, PlanError
from pilotlight.planner.traces import Arrival, Trace, parse_trace

BLOCK_TOKENS = 512
"""Mooncake's: prompts whose first n hash ids are alike share n blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Counted):
    """What can be set about any trace."""

    requests: int | None = option(COUNT, "only the first so many", default=None)
    max_input: int | None = option(COUNT, "longer prompts are cut to this", default=None)
    max_output: int | None = option(COUNT, "longer answers are cut to this", default=None)
    kind: Kind = option(KIND, "which API is asked", default="chat")


@dataclass(frozen=True, slots=True, kw_only=True)
class FromFile(Recorded):
    path: Path = option(PATH, "a CSV of Azure's (2023) or JSON lines of Mooncake's")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Recorded):
    which: str = option(
        one_of("conversation", "code"), "which of the two services", default="conversation"
    )


AZURE = (
    "Azure LLM inference trace 2023 (first 300 requests), Microsoft, CC BY 4.0; Patel et al., "
    "'Splitwise: Efficient generative LLM inference using phase splitting', ISCA 2024"
)


async def sample(options: Sample, ground: Ground, name: str, seed: int) -> Workload:
    file = files("pilotlight.bench").joinpath(f"data/azure_llm_2023_{options.which}.csv")
    trace = parse_trace(file.read_text().splitlines())
    return await _replayed(trace, options, ground, name, seed, AZURE)


async def from_file(options: FromFile, ground: Ground, name: str, seed: int) -> Workload:
    try:
        with options.path.open(encoding="utf-8") as lines:
            trace = parse_trace(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(
            f"can't read the trace {str(options.path)!r}: {error}", hint="give the path of a trace"
        ) from None
    except PlanError as error:
        raise BenchError(f"{options.path}: {error.message}", hint=error.hint) from None
    return await _replayed(trace, options, ground, name, seed, None)


async def _replayed(
    trace: Trace, options: Recorded, ground: Ground, name: str, seed: int, source: str | None
) -> Workload:
    making = await ground.making(options.kind)
    exact = options.exact and await ground.can_be_exact(options.kind)
    arrivals = trace.arrivals[: options.requests]

    def draw(seed: int) -> Iterator[Ask]:
        for at, arrival in enumerate(arrivals):
            content, tokens = _content(making, arrival, options, Random(f"{seed} {at}"))
            yield Ask(
                kind=options.kind,
                content=content,
                max_tokens=min(arrival.output_tokens, options.max_output or arrival.output_tokens),
                exact_output=exact,
                input_tokens=tokens,
                at_s=arrival.at_s,
            )

    return Workload(
        name=name,
        description=_description(arrivals, options, making, exact),
        draw=draw,
        size=len(arrivals),
        source=source,
        tokenizer=making.wording.source,
        seed=seed,
    )


def _content(
    making: Making, arrival: Arrival, options: Recorded, random: Random
) -> tuple[str, int]:
    whole = min(arrival.input_tokens, options.max_input or arrival.input_tokens)
    if not arrival.blocks:
        return making.content(whole, random)
    tokens = max(1, whole - making.around)
    words: list[str] = []
    for block in arrival.blocks:
        words += _block(making.wording, block)
        if len(words) >= tokens:
            break
    # A trace whose blocks don't reach as far as its length says: the rest is the request's own.
    own = making.wording.more(tokens - len(words), random)
    return " ".join(words[:tokens]) + own, tokens


@lru_cache(maxsize=2048)
def _block(wording: Wording, block: int) -> tuple[str, ...]:
    """The same words for the same hash id, whichever the run's seed: caches live longer."""
    random = Random(f"block {block}")
    first = random.choice(wording.heads)
    return first, *random.choices(wording.words, k=BLOCK_TOKENS - 1)


def _description(
    arrivals: tuple[Arrival, ...], options: Recorded, making: Making, exact: bool
) -> str:
    parts = [f"{len(arrivals)} recorded requests over {arrivals[-1].at_s:.0f} s"]
    if any(arrival.blocks for arrival in arrivals):
        parts.append(f"blocks of {BLOCK_TOKENS} tokens shared as recorded")
    limit = options.max_input
    if cut := sum(limit is not None and one.input_tokens > limit for one in arrivals):
        parts.append(f"{cut} prompts cut to {limit} tokens")
    limit = options.max_output
    if cut := sum(limit is not None and one.output_tokens > limit for one in arrivals):
        parts.append(f"{cut} answers cut to {limit} tokens")
    if short := sum(one.input_tokens <= making.around for one in arrivals):
        parts.append(f"{short} prompts made longer: the server's template alone is as long")
    if options.exact and not exact:
        parts.append("answers may end sooner, for the server can't ignore end-of-text")
    return "; ".join(parts)
