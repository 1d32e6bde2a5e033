"""What an answer said and when, read once it has ended."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import msgspec

from pilotlight.bench.generator.exchange import Exchange
from pilotlight.bench.record import ErrorKind

EVENTS_A_STEP = 64
"""So many are read before the reader may be interrupted: some tens of microseconds."""

_MESSAGE_CHARACTERS = 300


class _Part(msgspec.Struct):
    """A delta of a stream or a whole message."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None

    @property
    def any(self) -> bool:
        return bool(
            self.content
            or self.reasoning_content
            or self.reasoning
            or self.refusal
            or self.tool_calls
        )


class _Choice(msgspec.Struct):
    delta: _Part | None = None
    message: _Part | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Timings(msgspec.Struct):
    """llama.cpp's own counts, where nothing else says them."""

    prompt_n: int | None = None
    predicted_n: int | None = None
    cache_n: int | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    timings: _Timings | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Event).decode


@dataclass(slots=True)
class Reading:
    """Times are those of the exchange's stamps."""

    texts: list[str] = field(default_factory=list)
    seen_s: list[float] = field(default_factory=list)
    """The reads that brought content, each once."""

    usage: _Usage | None = None
    timings: _Timings | None = None
    finish_reason: str | None = None
    done: bool = False
    events: int = 0
    error: ErrorKind | None = None
    message: str | None = None

    @property
    def first_s(self) -> float | None:
        return self.seen_s[0] if self.seen_s else None

    @property
    def last_s(self) -> float | None:
        return self.seen_s[-1] if self.seen_s else None

    @property
    def gaps_ms(self) -> tuple[float, ...]:
        return tuple((after - before) * 1000 for before, after in pairwise(self.seen_s))

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def input_tokens(self) -> int | None:
        if self.usage is not None and self.usage.prompt_tokens is not None:
            return self.usage.prompt_tokens
        if self.timings is None or self.timings.prompt_n is None:
            return None
        return self.timings.prompt_n + (self.timings.cache_n or 0)

    @property
    def output_tokens(self) -> int | None:
        if self.usage is not None and self.usage.completion_tokens is not None:
            return self.usage.completion_tokens
        return None if self.timings is None else self.timings.predicted_n

    @property
    def cached_tokens(self) -> int | None:
        details = None if self.usage is None else self.usage.prompt_tokens_details
        if details is not None and details.cached_tokens is not None:
            return details.cached_tokens
        return None if self.timings is None else self.timings.cache_n

    def fail(self, kind: ErrorKind, message: str) -> None:
        """The first failure is the cause; later ones follow from it."""
        if self.error is None:
            self.error = kind
            self.message = " ".join(message.split())[:_MESSAGE_CHARACTERS]

    def take(self, event: _Event, stamp_s: float) -> None:
        self.events += 1
        if event.error is not None:
            self.fail(*_told(event.error))
        if event.usage is not None:
            self.usage = event.usage
        if event.timings is not None:
            self.timings = event.timings
        for choice in event.choices or ():
            part = choice.delta or choice.message
            if choice.text or (part is not None and part.any):
                self.texts.append(choice.text or (part and part.content) or "")
                if not self.seen_s or self.seen_s[-1] != stamp_s:
                    self.seen_s.append(stamp_s)
            if choice.finish_reason is not None:
                self.finish_reason = choice.finish_reason


def read(exchange: Exchange) -> Reading:
    """All of it at once."""
    steps = reading(exchange)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Reading = end.value
            return found


def reading(exchange: Exchange) -> Generator[None, None, Reading]:
    """In steps, between which something more urgent may be done."""
    found = Reading()
    if exchange.status == 200:
        body = exchange.body
        if body.lstrip()[:1] == b"{":
            _read_whole(found, body, exchange)
        else:
            yield from _read_events(found, body, exchange)
    elif exchange.status is not None and exchange.complete:
        found.fail(kind_of(exchange.status), _words(exchange.body) or f"{exchange.status}")
    if exchange.failure is not None:
        found.fail(*exchange.failure)
    elif exchange.status == 200:
        _judge(found)
    return found


def _read_whole(found: Reading, body: bytes, exchange: Exchange) -> None:
    """A server that doesn't stream: all of its answer came with the last read."""
    try:
        found.take(_decode(body), exchange.stamps[-1])
    except msgspec.DecodeError as error:
        found.fail("malformed", f"the answer is no chat completion: {error}")
    found.done = True


def _read_events(found: Reading, body: bytes, exchange: Exchange) -> Generator[None, None, None]:
    """Server-sent events, one line of data each, as every engine writes them.

    An event was here with the read that brought the end of its line.
    """
    ends = list(accumulate(map(len, exchange.pieces)))
    at = piece = 0
    for number, line in enumerate(body.split(b"\n"), 1):
        at += len(line) + 1
        if line.startswith(b"data:"):
            while piece < len(ends) - 1 and ends[piece] < at:
                piece += 1
            _take_line(found, line[5:].strip(), exchange.stamps[piece])
        if number % EVENTS_A_STEP == 0:
            yield


def _take_line(found: Reading, data: bytes, stamp_s: float) -> None:
    if data == b"[DONE]":
        found.done = True
        return
    try:
        event = _decode(data)
    except msgspec.DecodeError as error:
        found.fail("malformed", f"an event is none of a completion ({error}): {data[:100]!r}")
        return
    found.take(event, stamp_s)


def _judge(found: Reading) -> None:
    """Whether an answer that came to its end over HTTP is one."""
    if not found.events:
        found.fail("malformed", "the answer has no event of a completion")
    elif not found.done and found.finish_reason is None:
        found.fail("broken-off", "the answer ended without a finish reason and without [DONE]")


def kind_of(status: int) -> ErrorKind:
    if status in (429, 503):
        return "rate-limited"
    if 400 <= status < 500:
        return "refused"
    return "server" if status >= 500 else "malformed"


def _told(error: Any) -> tuple[ErrorKind, str]:
    """An error within a stream; a status there says as much as one before it."""
    tree = error if isinstance(error, dict) else {}
    code = tree.get("code") if isinstance(tree.get("code"), int) else tree.get("status")
    kind: ErrorKind = kind_of(code) if isinstance(code, int) and code >= 400 else "broken-off"
    return kind, str(tree.get("message") or error)


def _words(body: bytes) -> str:
    """An error's own message, else the start of what came."""
    try:
        tree = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body[:_MESSAGE_CHARACTERS].decode("utf-8", "replace")
    error = tree.get("error", tree) if isinstance(tree, dict) else tree
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or error)
