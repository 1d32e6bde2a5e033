"""Counts by the server itself: its /tokenize, or what its usage says of a prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilotlight.bench.target import Target
from pilotlight.bench.tokens.questions import ask_all, ask_model
from pilotlight.errors import ServerRefusedError

Say = Callable[[str], Mapping[str, Any]]

# What to ask for a text's tokens: Pilotlight and llama-server, then vLLM by itself. The order
# matters: llama-server answers vLLM's question too, with no tokens at all.
SHAPES: tuple[Say, ...] = (
    lambda text: {"content": text},
    lambda text: {"prompt": text, "add_special_tokens": False},
)

ANCHOR = "the"
"""One token, and so is each ` the` after it, in every vocabulary with English words in it."""


@dataclass(frozen=True, slots=True)
class ServerTokenizer:
    """By the server's /tokenize, which reads text exactly as it would in a prompt."""

    target: Target
    shape: Say

    @property
    def source(self) -> str:
        return "the server's /tokenize"

    async def count(self, texts: Sequence[str]) -> list[int]:
        answers = await ask_all(self.target, "/tokenize", [self.shape(text) for text in texts])
        return [len(answer["tokens"]) for answer in answers]


async def server_tokenizer(target: Target) -> ServerTokenizer | None:
    """None when the server has no /tokenize of a known shape."""
    for shape in SHAPES:
        try:
            answer = await ask_model(target, "/tokenize", shape(f"{ANCHOR} {ANCHOR}"))
        except ServerRefusedError as error:
            if error.answer in (401, 403) or error.answer >= 500:
                raise
            continue
        if isinstance(tokens := answer.get("tokens"), list) and tokens:
            return ServerTokenizer(target, shape)
    return None


@dataclass(frozen=True, slots=True)
class UsageTokenizer:
    """By what the server says a prompt cost, with an answer of one token. Slow, but any can.

    `around` are the tokens that it adds to every prompt by itself.
    """

    target: Target
    around: int

    @property
    def source(self) -> str:
        return "the server's usage"

    async def count(self, texts: Sequence[str]) -> list[int]:
        return [used - self.around for used in await prompt_tokens(self.target, texts)]


async def usage_tokenizer(target: Target) -> UsageTokenizer:
    """Raises ServerRefusedError: the server doesn't say what a prompt cost."""
    one, three = await prompt_tokens(target, (ANCHOR, " ".join([ANCHOR] * 3)))
    if three - one != 2:
        raise ServerRefusedError(
            f"{target.where} counts {one} tokens in {ANCHOR!r} and {three} in three of them",
            200,
            hint="its usage isn't one prompt's tokens: use a workload of texts, such as builtin",
        )
    return UsageTokenizer(target, one - 1)


async def prompt_tokens(
    target: Target, texts: Sequence[str], *, system: str | None = None
) -> list[int]:
    """What the usage of a chat with each text as its only message says, template included."""
    first = [{"role": "system", "content": system}] if system else []
    answers = await ask_all(
        target,
        "/v1/chat/completions",
        [
            {"messages": [*first, {"role": "user", "content": text}], "max_tokens": 1}
            for text in texts
        ],
    )
    return [_used(target, answer) for answer in answers]


async def completion_tokens(target: Target, text: str) -> int:
    """What the usage of a bare prompt says, with what starts a sequence."""
    answer = await ask_model(target, "/v1/completions", {"prompt": text, "max_tokens": 1})
    return _used(target, answer)


def _used(target: Target, answer: Mapping[str, Any]) -> int:
    usage = answer.get("usage")
    used = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if not isinstance(used, int):
        raise ServerRefusedError(
            f"{target.where} doesn't say how many tokens a prompt had",
            200,
            hint="use a workload of texts, such as builtin, or give a tokenizer.json",
        )
    return used


async def token_ids(target: Target, texts: Sequence[str]) -> list[list[int]]:
    """Each text's own tokens. Raises ServerRefusedError: the server doesn't tell."""
    return await _ids(target, texts, special=False)


async def starting_tokens(target: Target) -> list[int]:
    """What the model has before every text. Raises as `token_ids` does."""
    [bare] = await _ids(target, [ANCHOR], special=False)
    [whole] = await _ids(target, [ANCHOR], special=True)
    return whole[: len(whole) - len(bare)]


async def _ids(target: Target, texts: Sequence[str], *, special: bool) -> list[list[int]]:
    found = await server_tokenizer(target)
    if found is None:
        raise ServerRefusedError(
            f"{target.where} has no /tokenize, which tells a text's tokens",
            404,
            hint="serve the model with pilotlight, llama-server or vLLM",
        )
    wish = "add_special" if found.shape is SHAPES[0] else "add_special_tokens"
    asked = [{**found.shape(text), wish: special} for text in texts]
    return [list(answer["tokens"]) for answer in await ask_all(target, "/tokenize", asked)]
