"""OpenAI's objects, whole and in pieces."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .parts import Call, Content, Part, Thought
from .row import Piece
from .sampling import Chosen

Decode = Callable[[list[int]], str]
Document = dict[str, Any]


def usage(prompt: int, completion: int) -> Document:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


@dataclass(frozen=True)
class Envelope:
    """What all objects of one answer share."""

    model: str
    kind: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    def wrap(self, choices: list[Document], counted: Document | None = None) -> Document:
        document: Document = {
            "id": self.id,
            "object": self.kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }
        return document if counted is None else {**document, "usage": counted}


def chat_logprobs(decode: Decode, tokens: tuple[Chosen, ...]) -> Document | None:
    told = [chosen for chosen in tokens if chosen.logprob is not None]
    if not told:
        return None
    return {
        "content": [
            {
                **_logprob(decode, chosen.token, chosen.logprob),
                "top_logprobs": [_logprob(decode, token, value) for token, value in chosen.top],
            }
            for chosen in told
        ]
    }


def _logprob(decode: Decode, token: int, value: float | None) -> Document:
    text = decode([token])
    return {"token": text, "logprob": value, "bytes": list(text.encode())}


def completion_logprobs(
    decode: Decode, tokens: tuple[Chosen, ...], offset: int = 0
) -> Document | None:
    """The older shape: parallel arrays; `offset` is where the first token's text begins."""
    told = [chosen for chosen in tokens if chosen.logprob is not None]
    if not told:
        return None
    texts = [decode([chosen.token]) for chosen in told]
    offsets = [offset + sum(map(len, texts[:index])) for index in range(len(texts))]
    return {
        "tokens": texts,
        "token_logprobs": [chosen.logprob for chosen in told],
        "top_logprobs": [{decode([t]): v for t, v in chosen.top} for chosen in told],
        "text_offset": offsets,
    }


def delta(parts: list[Part], calls_before: int) -> Document:
    """`parts` as one change to a message, its calls numbered from `calls_before`."""
    made: Document = {}
    content = "".join(part.text for part in parts if isinstance(part, Content))
    thoughts = "".join(part.text for part in parts if isinstance(part, Thought))
    calls = [part for part in parts if isinstance(part, Call)]
    if content:
        made["content"] = content
    if thoughts:
        made["reasoning_content"] = thoughts
    if calls:
        numbered = enumerate(calls, calls_before)
        made["tool_calls"] = [{"index": index, **_call(call)} for index, call in numbered]
    return made


def message(parts: list[Part]) -> Document:
    changes = delta(parts, 0)
    for call in changes.get("tool_calls", ()):
        del call["index"]
    silent = None if "tool_calls" in changes else ""
    return {"role": "assistant", "content": silent, **changes}


def _call(call: Call) -> Document:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": function}


def finish(piece: Piece, calls: int) -> str | None:
    return "tool_calls" if calls and piece.finish == "stop" else piece.finish
