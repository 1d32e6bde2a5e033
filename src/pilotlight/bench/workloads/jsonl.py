"""A user's own requests: a JSON object a line, in our fields or as an OpenAI batch has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import msgspec

from pilotlight.bench.ask import PATHS, Ask, Kind
from pilotlight.bench.workloads.ground import Ground
from pilotlight.bench.workloads.options import COUNT, PATH, SWITCH, option
from pilotlight.bench.workloads.rounds import rounds, size
from pilotlight.bench.workloads.workload import Workload
from pilotlight.errors import BenchError

HINT = (
    'write one object a line: {"prompt": "…"}, {"messages": […]} or {"turns": ["…", "…"]}, with '
    "any of max_tokens, kind, system, group, session, think_s, at_s and the API's other fields; or "
    "lines of an OpenAI batch"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jsonl:
    path: Path = option(PATH, "the file")
    requests: int | None = option(COUNT, "only the first so many lines", default=None)
    max_tokens: int | None = option(COUNT, "for lines that have no max_tokens", default=None)
    repeat: bool = option(SWITCH, "go on for ever", default=False)
    shuffle: bool = option(SWITCH, "each round in another order", default=False)


async def jsonl(options: Jsonl, ground: Ground, name: str, seed: int) -> Workload:
    talks = _talks(options)
    return Workload(
        name=name,
        description=f"{sum(map(len, talks))} requests from {options.path.name}",
        draw=rounds(talks, repeat=options.repeat, shuffle=options.shuffle),
        size=size(talks, repeat=options.repeat),
        seed=seed,
    )


def _talks(options: Jsonl) -> list[tuple[Ask, ...]]:
    try:
        data = options.path.read_bytes()
    except OSError as error:
        raise BenchError(
            f"can't read {str(options.path)!r}: {error.strerror}", hint="give the path of a file"
        ) from None
    numbered = [(at, line) for at, line in enumerate(data.splitlines(), 1) if line.strip()]
    if not numbered:
        raise BenchError(f"{str(options.path)!r} has no request in it", hint=HINT)
    asks: list[Ask] = []
    for number, line in numbered[: options.requests]:
        try:
            asks += _read(msgspec.json.decode(line), number, options.max_tokens)
        except (msgspec.DecodeError, ValueError, TypeError, KeyError) as error:
            raise BenchError(f"{options.path}:{number}: {error}", hint=HINT) from None
    return _by_session(asks)


def _by_session(asks: list[Ask]) -> list[tuple[Ask, ...]]:
    """A session's lines may be apart in the file; they are sent as one conversation."""
    first = {ask.session: at for at, ask in reversed(list(enumerate(asks)))}
    place = [first[ask.session] if ask.session is not None else at for at, ask in enumerate(asks)]
    order = sorted(zip(place, asks, strict=True), key=lambda pair: (pair[0], pair[1].turn))
    return [tuple(ask for _, ask in group) for _, group in groupby(order, lambda pair: pair[0])]


def _read(entry: Any, number: int, most: int | None) -> Iterator[Ask]:
    if not isinstance(entry, dict):
        raise ValueError("not an object")
    fields = dict(entry)
    batched: Kind | None = None
    if "body" in fields:
        batched = _kind_of(fields.get("url"))
        fields = {**fields["body"], "group": fields.get("group", "")}
    # The run says which model is asked and how it answers.
    for name in ("model", "stream", "stream_options"):
        fields.pop(name, None)
    own = msgspec.convert({name: fields.pop(name) for name in _OWN if name in fields}, _Own)
    limits = (own.max_tokens, own.max_completion_tokens, most)
    asked = batched or own.kind
    if asked == "completions":
        _refuse_chat(entry.get("body", entry))
    for turn, (content, said) in enumerate(_contents(fields)):
        yield Ask(
            kind=asked or ("completions" if said is None else "chat"),
            content=content,
            system=own.system,
            max_tokens=next((limit for limit in limits if limit is not None), None),
            group=own.group,
            session=own.session or (f"line {number}" if turn or "turns" in entry else None),
            turn=own.turn + turn,
            think_s=own.think_s if own.turn + turn else 0.0,
            at_s=own.at_s,
            fields={**fields, **(said or {})},
        )


def _refuse_chat(fields: Mapping[str, Any]) -> None:
    """Of a bare prompt these would be left out without a word."""
    for name in ("messages", "turns", "system"):
        if name in fields:
            raise ValueError(f"{PATHS['completions']} has no {name}")


_Limit = Annotated[int, msgspec.Meta(ge=1)]
_Whole = Annotated[int, msgspec.Meta(ge=0)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]


class _Own(msgspec.Struct, frozen=True):
    kind: Kind | None = None
    system: str | None = None
    group: str = ""
    session: str | None = None
    turn: _Whole = 0
    think_s: _Seconds = 0.0
    at_s: _Seconds | None = None
    max_tokens: _Limit | None = None
    max_completion_tokens: _Limit | None = None


_OWN = _Own.__struct_fields__
Content = str | tuple[int, ...]


def _contents(fields: dict[str, Any]) -> Iterator[tuple[Content, Mapping[str, Any] | None]]:
    """Each question with what a chat needs beside it; None beside it makes it a bare prompt."""
    given = [name for name in ("prompt", "messages", "turns", "content") if name in fields]
    if len(given) != 1:
        raise ValueError(f"has {' and '.join(given) or 'neither prompt nor messages'}")
    [name] = given
    value = fields.pop(name)
    if name == "turns":
        yield from ((_text(turn), {}) for turn in _list(value, "turns"))
    elif name == "messages":
        yield _last_words(value), {"messages": value}
    elif isinstance(value, list):
        yield msgspec.convert(_list(value, "token ids"), tuple[int, ...]), None
    else:
        yield _text(value), {}


def _last_words(messages: Any) -> str:
    """What a whole conversation ends with; the conversation itself is sent as it stands."""
    for message in _list(messages, "messages"):
        if not isinstance(message, dict):
            raise ValueError(f"{message!r} is no message")
    content = messages[-1].get("content")
    return content if isinstance(content, str) else ""


def _list(value: Any, of: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{value!r} is no list of {of}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no prompt")
    return value


def _kind_of(url: Any) -> Kind:
    for kind, path in PATHS.items():
        if url in (None, path):
            return kind
    raise ValueError(f"url is {url!r}, expected {' or '.join(PATHS.values())}")
