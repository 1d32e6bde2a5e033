"""The text of an answer: words drawn from a hash of the prompt and the sampling fields.

Every sampling field goes into the hash, so a test can see that a field arrived:
the same request always gives the same bytes, and another seed gives others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pilotlight.testing import tokens
from pilotlight.testing.answer import Refusal, invalid

# A power of two, so that each byte of the hash picks a word without bias; five
# letters at most, so that each word with its space is one token.
VOCABULARY = (
    "amber", "arc", "ash", "aura", "bake", "beam", "blaze", "boil", "burn", "char", "coal",
    "coil", "coke", "core", "dawn", "ember", "fire", "flame", "flare", "flash", "flint", "flue",
    "forge", "fuel", "fume", "gas", "glare", "gleam", "glint", "glow", "grate", "heat", "hob",
    "jet", "kiln", "lamp", "light", "lit", "match", "melt", "oil", "oven", "pilot", "pipe",
    "plume", "pyre", "ray", "red", "roast", "shine", "singe", "smoke", "soot", "spark", "star",
    "steam", "stove", "sun", "taper", "tind", "toast", "torch", "warm", "wick",
)  # fmt: skip

SAMPLING = (
    "seed", "temperature", "top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty",
    "repeat_penalty", "logit_bias", "adapter",
)  # fmt: skip
"""Request fields that change which words come out."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds an answer: `words` it has by nature, `room` left of the context."""

    words: int
    room: int
    max_tokens: int | None
    stops: tuple[str, ...]
    ignore_eos: bool


@dataclass(frozen=True, slots=True)
class Generation:
    """One choice of an answer. `scores` are log probabilities by token."""

    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    finish: str

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def limits(body: Mapping[str, Any], *, words: int, context: int, prompt_tokens: int) -> Limits:
    """Raises Refusal for a prompt over the context, as llama.cpp words and types it."""
    if prompt_tokens >= context:
        raise Refusal(
            400,
            "exceed_context_size_error",
            f"request ({prompt_tokens} tokens) exceeds the available context size "
            f"({context} tokens), try increasing it",
            n_prompt_tokens=prompt_tokens,
            n_ctx=context,
        )
    stop = body.get("stop") or ()
    return Limits(
        words=words,
        room=context - prompt_tokens,
        max_tokens=_max_tokens(body),
        stops=(stop,) if isinstance(stop, str) else tuple(stop),
        ignore_eos=body.get("ignore_eos") is True,
    )


def _max_tokens(body: Mapping[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens", "n_predict"):
        value = body.get(name)
        if value is None or value == -1:  # -1 is llama.cpp's "no bound"
            continue
        if not isinstance(value, int) or value < 0:
            raise invalid(f"{name!r} is {value!r}, expected a whole number")
        return value
    return None


def generate(
    prompt: str, body: Mapping[str, Any], choice: int, bounds: Limits, given: str | None = None
) -> Generation:
    """The words of one choice; `given` is a text to say instead (JSON, a tool's arguments)."""
    sampling = {name: body[name] for name in SAMPLING if body.get(name) is not None}
    key = msgspec.json.encode([prompt, sampling, choice])
    bound = bounds.room if bounds.max_tokens is None else min(bounds.max_tokens, bounds.room)
    natural = bound if bounds.ignore_eos else bounds.words
    text = _words(key, min(natural, bound)) if given is None else given
    cut, stopped = _cut(text, bounds.stops)
    spoken = tokens.pieces(cut)
    complete = stopped or (len(spoken) <= bound and (given is not None or natural < bound))
    spoken = spoken[:bound]
    scores = tuple(-byte / 256 for byte in hashlib.shake_128(key + b"scores").digest(len(spoken)))
    return Generation(tuple(spoken), scores, "stop" if complete else "length")


def _words(key: bytes, count: int) -> str:
    return " ".join(VOCABULARY[byte % 64] for byte in hashlib.shake_128(key).digest(count))


def _cut(text: str, stops: tuple[str, ...]) -> tuple[str, bool]:
    found = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    return (text[: min(found)], True) if found else (text, False)
