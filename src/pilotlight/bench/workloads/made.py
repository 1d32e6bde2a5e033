"""Made prompts: fixed and distributed lengths, shared prefixes, sessions of several turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from random import Random

from pilotlight.bench.ask import Ask, Kind
from pilotlight.bench.workloads.ground import Ground, Making
from pilotlight.bench.workloads.lengths import Length
from pilotlight.bench.workloads.options import (
    COUNT,
    LENGTH,
    SECONDS,
    TOKENS,
    Counted,
    one_of,
    option,
)
from pilotlight.bench.workloads.workload import Workload

KIND = one_of("chat", "completions")
WHOLE = "tokens of the whole prompt, as the server's usage counts it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed(Counted):
    input: int = option(COUNT, WHOLE, default=512)
    output: int = option(COUNT, "tokens of an answer", default=128)
    kind: Kind = option(KIND, "which API is asked", default="chat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distributed(Counted):
    input: Length = option(LENGTH, WHOLE)
    output: Length = option(LENGTH, "tokens of an answer")
    max_input: int | None = option(COUNT, "longer prompts are cut to this", default=None)
    max_output: int | None = option(COUNT, "longer answers are cut to this", default=None)
    kind: Kind = option(KIND, "which API is asked", default="chat")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPrefix(Counted):
    prefixes: int = option(COUNT, "how many prefixes there are, taken in turn", default=1)
    prefix: int = option(COUNT, "tokens that prompts share, template included", default=1024)
    suffix: Length = option(LENGTH, "tokens that are a prompt's own", default=128)
    output: Length = option(LENGTH, "tokens of an answer", default=64)
    kind: Kind = option(KIND, "which API is asked", default="chat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions(Counted):
    turns: Length = option(LENGTH, "questions in a session", default=4)
    input: Length = option(LENGTH, "tokens of each question by itself", default=128)
    output: Length = option(LENGTH, "tokens of an answer", default=128)
    system: int = option(TOKENS, "tokens of a system prompt that all sessions share", default=0)
    think_s: float = option(SECONDS, "mean pause before the next question", default=0)
    sessions: int | None = option(COUNT, "how many; without it there is no end", default=None)


async def fixed(options: Fixed, ground: Ground, name: str, seed: int) -> Workload:
    input, output = (
        Length(str(tokens), lambda random, tokens=tokens: tokens)  # type: ignore[misc]
        for tokens in (options.input, options.output)
    )
    same = Distributed(input=input, output=output, exact=options.exact, kind=options.kind)
    return await distributed(same, ground, name, seed)


async def distributed(options: Distributed, ground: Ground, name: str, seed: int) -> Workload:
    making = await ground.making(options.kind)
    exact = options.exact and await ground.can_be_exact(options.kind)

    def draw(seed: int) -> Iterator[Ask]:
        random = Random(seed)
        while True:
            whole = _at_most(options.input.draw(random), options.max_input)
            content, tokens = making.content(whole, random)
            yield Ask(
                kind=options.kind,
                content=content,
                max_tokens=_at_most(options.output.draw(random), options.max_output),
                exact_output=exact,
                input_tokens=tokens,
            )

    lengths = f"prompts of {options.input.text} tokens, answers of {options.output.text}"
    return _workload(name, f"made {lengths}", options.exact, exact, making, draw, seed)


async def shared_prefix(options: SharedPrefix, ground: Ground, name: str, seed: int) -> Workload:
    making = await ground.making(options.kind)
    exact = options.exact and await ground.can_be_exact(options.kind)

    def draw(seed: int) -> Iterator[Ask]:
        random = Random(seed)
        prefixes = [making.content(options.prefix, random) for _ in range(options.prefixes)]
        for at in count():
            prefix, shared = prefixes[at % len(prefixes)]
            own = options.suffix.draw(random)
            yield Ask(
                kind=options.kind,
                content=prefix + making.wording.more(own, random),
                max_tokens=options.output.draw(random),
                exact_output=exact,
                input_tokens=shared + own,
                group=f"prefix {at % len(prefixes) + 1}" if 1 < len(prefixes) <= 8 else "",
            )

    description = (
        f"{options.prefixes} shared prefix{'es' * (options.prefixes > 1)} of {options.prefix} "
        f"tokens, {options.suffix.text} of a prompt's own, answers of {options.output.text}"
    )
    return _workload(name, description, options.exact, exact, making, draw, seed)


async def sessions(options: Sessions, ground: Ground, name: str, seed: int) -> Workload:
    making = await ground.making("chat")
    exact = options.exact and await ground.can_be_exact("chat")

    def draw(seed: int) -> Iterator[Ask]:
        random = Random(seed)
        system = making.wording.text(options.system, random) if options.system else None
        for number in count() if options.sessions is None else range(options.sessions):
            for turn in range(options.turns.draw(random)):
                tokens = options.input.draw(random)
                yield Ask(
                    content=making.wording.text(tokens, random),
                    system=system,
                    max_tokens=options.output.draw(random),
                    exact_output=exact,
                    input_tokens=tokens,
                    group="first turn" if turn == 0 else "later turns",
                    session=f"s{number + 1}",
                    turn=turn,
                    think_s=_pause(options.think_s, random) if turn else 0.0,
                )

    description = (
        f"sessions of {options.turns.text} questions of {options.input.text} tokens, answers of "
        f"{options.output.text}, {options.think_s:g} s to think"
        + f", after {options.system} shared tokens"
        * bool(options.system)
    )
    size = None if options.sessions is None else sum(1 for _ in draw(seed))
    return _workload(name, description, options.exact, exact, making, draw, seed, size)


def _pause(mean_s: float, random: Random) -> float:
    """People's pauses are many short ones and few long ones."""
    return round(random.expovariate(1 / mean_s), 3) if mean_s else 0.0


def _at_most(tokens: int, most: int | None) -> int:
    return tokens if most is None else min(tokens, most)


def _workload(
    name: str,
    description: str,
    asked_exact: bool,
    exact: bool,
    making: Making,
    draw: Callable[[int], Iterator[Ask]],
    seed: int,
    size: int | None = None,
) -> Workload:
    short = "; answers may end sooner, for the server can't ignore end-of-text"
    return Workload(
        name=name,
        description=description + short * (asked_exact and not exact),
        draw=draw,
        size=size,
        tokenizer=making.wording.source,
        seed=seed,
    )
