"""Chat completions and plain completions: one choice or many, whole or as a stream.

The shapes are llama.cpp's (server-task.cpp), down to `timings` on the last event
of a stream; its times are made up, one millisecond a token, so that they are the
same on every run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Protocol

import msgspec

from pilotlight.testing import prompt, tokens
from pilotlight.testing.answer import Answer, invalid, stream, whole
from pilotlight.testing.generation import Generation, generate, limits
from pilotlight.testing.schema import example
from pilotlight.testing.tools import ToolCall, choose

CREATED_UNIX_S = 1_700_000_000
"""One moment for every answer, so that bytes repeat."""

_Event = tuple[Mapping[str, Any], int]


@dataclass(frozen=True, slots=True)
class Persona:
    """What an answer depends on besides the request."""

    model: str
    context: int
    words: int
    vision: bool = False
    tools: bool = True
    counts: bool = True


class Form(Protocol):
    """How one operation writes its choices."""

    prefix: str
    object: str
    chunk_object: str

    def choice(self, index: int, made: Generation, asked: Asked) -> dict[str, Any]: ...

    def opening(self, index: int) -> dict[str, Any] | None:
        """A first event of a choice before any text, if the operation has one."""
        ...

    def delta(self, index: int, made: Generation, at: int, asked: Asked) -> dict[str, Any]: ...

    def closing(self, index: int, finish: str) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read."""

    body: Mapping[str, Any]
    prompt_tokens: int
    call: ToolCall | None
    choices: tuple[Generation, ...]

    @property
    def generated(self) -> int:
        return sum(len(choice.pieces) for choice in self.choices)

    @property
    def logprobs(self) -> int | None:
        """Alternatives to show per token; None for no log probabilities at all."""
        asked = self.body.get("logprobs")
        if asked is True:
            return int(self.body.get("top_logprobs") or 0)
        return asked if type(asked) is int else None


def chat(persona: Persona, body: Mapping[str, Any]) -> Answer:
    text = prompt.of_chat(body, vision=persona.vision)
    call = choose(body) if persona.tools else None
    given = call.arguments if call else _formatted(body) or prompt.echoed(body)
    return _answer(_Chat(), persona, _ask(persona, body, text, call, given))


def completion(persona: Persona, body: Mapping[str, Any]) -> Answer:
    text = prompt.of_completion(body)
    return _answer(_Text(), persona, _ask(persona, body, text, None, prompt.echoed(body)))


def _ask(
    persona: Persona,
    body: Mapping[str, Any],
    text: str,
    call: ToolCall | None,
    given: str | None,
) -> Asked:
    count = body.get("n") or 1
    if type(count) is not int or count < 1:
        raise invalid(f"'n' is {count!r}, expected a whole number from 1")
    prompt_tokens = tokens.count(text)
    bounds = limits(body, words=persona.words, context=persona.context, prompt_tokens=prompt_tokens)
    made = tuple(generate(text, body, choice, bounds, given) for choice in range(count))
    return Asked(body, prompt_tokens, call, made)


def _formatted(body: Mapping[str, Any]) -> str | None:
    """JSON to say, where `response_format` asks for it."""
    wanted = body.get("response_format") or {}
    schemas = {
        "json_object": wanted.get("schema") or {"required": ["answer"], "properties": _ANSWER},
        "json_schema": (wanted.get("json_schema") or {}).get("schema") or {},
    }
    schema = schemas.get(wanted.get("type", "text"))
    return None if schema is None else msgspec.json.encode(example(schema)).decode()


_ANSWER = {"answer": {"type": "string"}}


def _answer(form: Form, persona: Persona, asked: Asked) -> Answer:
    head = {"id": form.prefix + _identity(asked), "created": CREATED_UNIX_S, "model": persona.model}
    if asked.body.get("stream"):
        told = _timings(asked) if persona.counts else None
        return stream(_events(form, asked, {**head, "object": form.chunk_object}, told))
    choices = [form.choice(index, made, asked) for index, made in enumerate(asked.choices)]
    payload = {
        **head,
        "object": form.object,
        "choices": choices,
        "usage": _usage(asked),
        "timings": _timings(asked),
    }
    return whole(payload, tokens=max(1, asked.generated))


def _identity(asked: Asked) -> str:
    return hashlib.blake2b(msgspec.json.encode(asked.body), digest_size=12).hexdigest()


def _events(
    form: Form, asked: Asked, head: Mapping[str, Any], timings: Mapping[str, Any] | None
) -> Iterator[_Event]:
    """Choices advance together, a token each, as a batch of slots does."""
    payloads = [({**head, "choices": [choice]}, cost) for choice, cost in _deltas(form, asked)]
    options = asked.body.get("stream_options") or {}
    if options.get("include_usage"):
        payloads.append(({**head, "choices": [], "usage": _usage(asked)}, 0))
    last, cost = payloads.pop()
    yield from payloads
    yield {**last, **({"timings": timings} if timings else {})}, cost


def _deltas(form: Form, asked: Asked) -> Iterator[tuple[dict[str, Any], int]]:
    """An opening goes out with the first token of its choice, which pays for both."""
    opened = [form.opening(index) for index in range(len(asked.choices))]
    for index, opening in enumerate(opened):
        if opening is not None:
            yield opening, 1 if asked.choices[index].pieces else 0
    for at, row in enumerate(zip_longest(*(choice.pieces for choice in asked.choices))):
        for index, piece in enumerate(row):
            if piece is not None:
                paid = at == 0 and opened[index] is not None
                yield form.delta(index, asked.choices[index], at, asked), 0 if paid else 1
    for index, choice in enumerate(asked.choices):
        yield form.closing(index, _finish(choice, asked)), 0


def _finish(choice: Generation, asked: Asked) -> str:
    return "tool_calls" if asked.call and choice.finish == "stop" else choice.finish


def _usage(asked: Asked) -> dict[str, Any]:
    return {
        "prompt_tokens": asked.prompt_tokens,
        "completion_tokens": asked.generated,
        "total_tokens": asked.prompt_tokens + asked.generated,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def _timings(asked: Asked) -> dict[str, Any]:
    return {
        "cache_n": 0,
        "prompt_n": asked.prompt_tokens,
        "prompt_ms": float(asked.prompt_tokens),
        "predicted_n": asked.generated,
        "predicted_ms": float(asked.generated),
    }


def _scored(made: Generation, at: int, top: int) -> dict[str, Any]:
    def entry(piece: str, score: float) -> dict[str, Any]:
        return {
            "id": tokens.token_id(piece),
            "token": piece,
            "bytes": list(piece.encode()),
            "logprob": score,
        }

    alternatives = [entry(made.pieces[at], made.scores[at])]
    alternatives += [entry(f"alt{rank}", -1.0 - rank) for rank in range(1, top)]
    return {**entry(made.pieces[at], made.scores[at]), "top_logprobs": alternatives[:top]}


def _logprobs(made: Generation, at: range, asked: Asked) -> dict[str, Any]:
    """The `logprobs` member of a choice, absent unless asked for."""
    if asked.logprobs is None:
        return {}
    return {"logprobs": {"content": [_scored(made, i, asked.logprobs) for i in at]}}


class _Chat:
    prefix = "chatcmpl-"
    object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def choice(self, index: int, made: Generation, asked: Asked) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": made.text}
        if asked.call:
            message = {
                "role": "assistant",
                "content": None,
                "tool_calls": [self._call(index, asked.call, made.text)],
            }
        return {
            "index": index,
            "message": message,
            "finish_reason": _finish(made, asked),
            **_logprobs(made, range(len(made.pieces)), asked),
        }

    def _call(self, index: int, call: ToolCall, arguments: str) -> dict[str, Any]:
        function = {"name": call.name, "arguments": arguments}
        return {"id": f"call_{call.name}_{index}", "type": "function", "function": function}

    def opening(self, index: int) -> dict[str, Any] | None:
        delta = {"role": "assistant", "content": None}
        return {"index": index, "delta": delta, "finish_reason": None}

    def delta(self, index: int, made: Generation, at: int, asked: Asked) -> dict[str, Any]:
        delta: dict[str, Any] = {"content": made.pieces[at]}
        if asked.call:
            part: dict[str, Any] = {"function": {"arguments": made.pieces[at]}}
            if at == 0:
                part = self._call(index, asked.call, made.pieces[0])
            delta = {"tool_calls": [{"index": 0, **part}]}
        scores = _logprobs(made, range(at, at + 1), asked)
        return {"index": index, "delta": delta, "finish_reason": None, **scores}

    def closing(self, index: int, finish: str) -> dict[str, Any]:
        return {"index": index, "delta": {}, "finish_reason": finish}


class _Text:
    prefix = "cmpl-"
    object = "text_completion"
    chunk_object = "text_completion"

    def choice(self, index: int, made: Generation, asked: Asked) -> dict[str, Any]:
        scores = {"logprobs": None, **_logprobs(made, range(len(made.pieces)), asked)}
        return {"index": index, "text": made.text, "finish_reason": made.finish, **scores}

    def opening(self, index: int) -> dict[str, Any] | None:
        return None

    def delta(self, index: int, made: Generation, at: int, asked: Asked) -> dict[str, Any]:
        scores = {"logprobs": None, **_logprobs(made, range(at, at + 1), asked)}
        return {"index": index, "text": made.pieces[at], "finish_reason": None, **scores}

    def closing(self, index: int, finish: str) -> dict[str, Any]:
        return {"index": index, "text": "", "finish_reason": finish, "logprobs": None}
