"""Conversations between people and a model, in ShareGPT's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from pilotlight.bench.ask import Ask
from pilotlight.bench.workloads.ground import Ground
from pilotlight.bench.workloads.options import COUNT, PATH, SWITCH, Counted, one_of, option
from pilotlight.bench.workloads.rounds import rounds, size
from pilotlight.bench.workloads.workload import Workload
from pilotlight.errors import BenchError

HINT = 'expected a JSON list of {"conversations": [{"from": "human", "value": "…"}, …]}'
ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant",
         "chatgpt": "assistant", "bing": "assistant", "bard": "assistant"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareGpt(Counted):
    path: Path = option(PATH, "the file")
    conversations: int = option(COUNT, "how many are taken, drawn by the seed", default=500)
    turns: str = option(
        one_of("first", "all"), "only each conversation's first question, or all as a session",
        default="first",
    )  # fmt: skip
    max_input: int | None = option(COUNT, "leave out longer questions", default=None)
    max_output: int | None = option(COUNT, "longer answers are cut to this", default=None)
    repeat: bool = option(SWITCH, "go on for ever, each round in another order", default=False)


@dataclass(frozen=True, slots=True)
class _Pair:
    question: str
    answer: str


async def sharegpt(options: ShareGpt, ground: Ground, name: str, seed: int) -> Workload:
    found = _conversations(options.path)
    taken = Random(seed).sample(found, min(options.conversations, len(found)))
    if options.turns == "first":
        taken = [pairs[:1] for pairs in taken]
    exact = options.exact and await ground.can_be_exact("chat")
    talks = _measured(taken, await _counts(taken, ground), options, exact)
    if not talks:
        raise BenchError(
            f"no conversation of {str(options.path)!r} has a question of at most "
            f"{options.max_input} tokens",
            hint="give a higher max_input",
        )
    return Workload(
        name=name,
        description=f"{len(talks)} of {len(found)} conversations from {options.path.name}, "
        + ("their first questions" if options.turns == "first" else "all turns")
        + ", answers as long as recorded",
        draw=rounds(talks, repeat=options.repeat, shuffle=True),
        size=size(talks, repeat=options.repeat),
        seed=seed,
        tokenizer=(await ground.counter()).source,
    )


async def _counts(taken: list[tuple[_Pair, ...]], ground: Ground) -> dict[str, int]:
    texts = sorted(
        {text for pairs in taken for one in pairs for text in (one.question, one.answer)}
    )
    counts = await (await ground.counter()).count(texts)
    return dict(zip(texts, counts, strict=True))


def _measured(
    taken: list[tuple[_Pair, ...]], counts: Mapping[str, int], options: ShareGpt, exact: bool
) -> list[tuple[Ask, ...]]:
    talks = []
    for number, pairs in enumerate(taken, 1):
        talk = tuple(_ask(pair, counts, options, exact) for pair in pairs)
        if options.max_input and any((ask.input_tokens or 0) > options.max_input for ask in talk):
            continue
        if options.turns == "all":
            named = enumerate(talk)
            talk = tuple(replace(ask, session=f"c{number}", turn=turn) for turn, ask in named)
        talks.append(talk)
    return talks


def _ask(pair: _Pair, counts: Mapping[str, int], options: ShareGpt, exact: bool) -> Ask:
    output = max(1, counts[pair.answer])
    return Ask(
        content=pair.question,
        max_tokens=min(output, options.max_output or output),
        exact_output=exact,
        input_tokens=counts[pair.question],
    )


def _conversations(path: Path) -> list[tuple[_Pair, ...]]:
    """Those that have a question with an answer to it.

    Raises BenchError: the file can't be read, or holds none.
    """
    try:
        entries = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise BenchError(f"can't read {str(path)!r}: {error.strerror}", hint=HINT) from None
    except msgspec.DecodeError as error:
        raise BenchError(f"{str(path)!r} is not JSON: {error}", hint=HINT) from None
    found = [_pairs(entry) for entry in entries] if isinstance(entries, list) else []
    if not any(found):
        raise BenchError(f"{str(path)!r} holds no conversation", hint=HINT)
    return [pairs for pairs in found if pairs]


def _pairs(entry: Any) -> tuple[_Pair, ...]:
    """Questions with the answers that follow them; a conversation ends where that order does."""
    if not isinstance(entry, dict):
        return ()
    said = entry.get("conversations") or entry.get("messages")
    known = map(_line, said if isinstance(said, list) else ())
    lines = [line for line in known if line is not None]
    if lines and lines[0][0] == "assistant":  # an answer to what the file doesn't have
        lines = lines[1:]
    pairs = []
    for (asker, question), (replier, answer) in zip(lines[::2], lines[1::2], strict=False):
        if (asker, replier) != ("user", "assistant"):
            break
        pairs.append(_Pair(question, answer))
    return tuple(pairs)


def _line(said: Any) -> tuple[str, str] | None:
    if not isinstance(said, dict):
        return None
    role = ROLES.get(str(said.get("from", said.get("role", ""))))
    text = said.get("value", said.get("content"))
    return (role, text) if role and isinstance(text, str) and text.strip() else None
