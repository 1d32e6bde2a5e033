"""Two ways to have a served model's distributions: a text at once, or place by place.

vLLM gives all of a prompt's with `prompt_logprobs`. Others are asked for one token after the text
so far, which costs little where prompts are cached: and since the answer is only one token and is
forced to be the text's own by its bias, it tells that token's probability too, however small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pilotlight.bench.target import Target
from pilotlight.bench.tokens.questions import ask_model
from pilotlight.errors import BenchError, ServerRefusedError
from pilotlight.quality.reading import Candidate, Passage, Position

PATH = "/v1/completions"
CERTAIN = 100
"""A bias that no other token gets over."""

_SAME = 0.02
"""Of log-probabilities: a server repeats itself to within its arithmetic."""


class Way(Protocol):
    """How one server is asked."""

    @property
    def name(self) -> str: ...

    async def read(self, target: Target, passage: Passage) -> tuple[Position, ...]:
        """Raises ServerError."""
        ...


@dataclass(frozen=True, slots=True)
class AtOnce:
    """vLLM's: one question for a whole text."""

    top: int = 20

    @property
    def name(self) -> str:
        return "prompt_logprobs"

    async def read(self, target: Target, passage: Passage) -> tuple[Position, ...]:
        asked = {"prompt": passage.tokens, "max_tokens": 1, "prompt_logprobs": self.top}
        answer = await ask_model(target, PATH, {**asked, "temperature": 0})
        told = answer["choices"][0].get("prompt_logprobs")
        if not isinstance(told, list) or len(told) != len(passage.tokens):
            raise ServerRefusedError(f"{target.where} has no prompt_logprobs", 400)
        return tuple(self._position(told[at], passage.tokens[at]) for at in passage.places)

    def _position(self, told: Mapping[str, Any], actual: int) -> Position:
        found = [
            Candidate(int(token), one.get("decoded_token") or "", one["logprob"])
            for token, one in told.items()
        ]
        # The text's own token is told besides the likeliest ones when it isn't among them.
        ordered = sorted(found, key=lambda one: -one.logprob)[: self.top]
        own = next((one.logprob for one in found if one.token == actual), None)
        return Position(tuple(ordered), actual, own)


@dataclass(frozen=True, slots=True)
class StepByStep:
    """One question for each place, in order, so that each prompt begins with the one before."""

    wish: Mapping[str, int]
    """How the likeliest tokens are asked for."""

    forced: bool
    """The text's own token is forced, and its probability told."""

    @property
    def name(self) -> str:
        return f"one token at a time, {' '.join(f'{k}={v}' for k, v in self.wish.items())}"

    async def read(self, target: Target, passage: Passage) -> tuple[Position, ...]:
        return tuple([await self._one(target, passage.tokens, at) for at in passage.places])

    async def _one(self, target: Target, tokens: Sequence[int], at: int) -> Position:
        actual = tokens[at]
        bias = {"logit_bias": {str(actual): CERTAIN}} if self.forced else {}
        asked = {"prompt": tokens[:at], "max_tokens": 1, "temperature": 0, **self.wish, **bias}
        chosen, top = _told(target, await ask_model(target, PATH, asked))
        if self.forced and chosen.token != actual:
            # Also where no id is told: an answer that wasn't forced would pass for the text's.
            raise ServerRefusedError(f"{target.where} didn't take a bias of {CERTAIN}", 400)
        among = next((one.logprob for one in top if one.token == actual), None)
        return Position(top, actual, chosen.logprob if self.forced else among)


# From the most that is told to the least: llama-server's own, OpenAI's, an old server's.
WISHES: tuple[Mapping[str, int], ...] = ({"n_probs": 100}, {"logprobs": 20}, {"logprobs": 5})


async def find_way(target: Target, passage: Passage) -> Way:
    """What this server can, found with a question or two.

    Raises:
        BenchError: it tells no probabilities.
        ServerError: it can't be reached.
    """
    short = Passage(passage.tokens[: passage.places[0] + 1], passage.places[:1])
    tried: list[Way] = [AtOnce()]
    tried += [StepByStep(wish, forced=False) for wish in WISHES]
    for way in tried:
        try:
            [position] = await way.read(target, short)
        except ServerRefusedError as error:
            if error.answer not in (400, 404, 422, 501):
                raise
            continue
        if isinstance(way, StepByStep) and await _can_force(target, way.wish, short, position):
            return StepByStep(way.wish, forced=True)
        return way
    raise BenchError(
        f"{target.where} tells no probabilities of next tokens",
        hint="compare by answers alone, with --task, or serve the model with llamacpp or vllm",
    )


async def _can_force(
    target: Target, wish: Mapping[str, int], passage: Passage, plain: Position
) -> bool:
    """Only where the bias doesn't change the probabilities that are told."""
    try:
        [biased] = await StepByStep(wish, forced=True).read(target, passage)
    except ServerRefusedError:
        return False
    if biased.actual_logprob is None or len(biased.top) != len(plain.top):
        return False
    pairs = zip(biased.top[:3], plain.top[:3], strict=True)
    return all(one.text == other.text and _near(one, other) for one, other in pairs)


def _near(one: Candidate, other: Candidate) -> bool:
    return abs(one.logprob - other.logprob) < _SAME


def _told(target: Target, answer: Mapping[str, Any]) -> tuple[Candidate, tuple[Candidate, ...]]:
    """The token that was answered and the likeliest ones, in either of the two shapes there are."""
    try:
        told = answer["choices"][0]["logprobs"]
        chosen, top = _by_content(told) if "content" in told else _by_lists(told)
    except (KeyError, IndexError, TypeError):
        raise ServerRefusedError(f"{target.where} told no log-probabilities", 400) from None
    if not top:
        raise ServerRefusedError(f"{target.where} told no likeliest tokens", 400)
    return chosen, tuple(sorted(top, key=lambda one: -one.logprob))


def _by_content(told: Mapping[str, Any]) -> tuple[Candidate, list[Candidate]]:
    [entry] = told["content"][:1]
    return _candidate(entry), [_candidate(one) for one in entry["top_logprobs"]]


def _candidate(entry: Mapping[str, Any]) -> Candidate:
    return Candidate(entry.get("id"), entry["token"], float(entry["logprob"]))


def _by_lists(told: Mapping[str, Any]) -> tuple[Candidate, list[Candidate]]:
    """OpenAI's older shape, which has texts and no ids."""
    chosen = Candidate(None, told["tokens"][0], float(told["token_logprobs"][0]))
    top = [Candidate(None, text, float(one)) for text, one in told["top_logprobs"][0].items()]
    return chosen, top
