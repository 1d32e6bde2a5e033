"""The next token of one answer, by transformers' own processors in `generate`'s own order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from .constraint import Constraint


@dataclass(frozen=True)
class Sampling:
    """What a request asks of its tokens; the defaults change nothing but draw at random."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    min_tokens: int = 0
    logprobs: int | None = None
    """How many alternatives to tell beside each token; None tells nothing."""


@dataclass(frozen=True)
class Chosen:
    """A token; `logprob` and `top` are of the model's own distribution, before any setting."""

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """Chooses the tokens of one answer; knows what it has chosen."""

    def __init__(
        self,
        settings: Sampling,
        prompt: Sequence[int],
        ends: Sequence[int],
        constraint: Constraint | None = None,
    ) -> None:
        self.settings = settings
        self._tokens = list(prompt)
        self._prompt_length = len(prompt)
        self._ends = list(ends)
        self._constraint = constraint
        self._warpers = _warpers(settings)
        self._counts: torch.Tensor | None = None
        self._generator: Any = None
        self.plain = _is_plain(settings) and constraint is None

    @property
    def finished(self) -> bool:
        """The answer is whole by its grammar."""
        return self._constraint is not None and self._constraint.finished

    def accept(self, token: int) -> None:
        self._tokens.append(token)
        if self._counts is not None:
            self._counts[token] += 1
        if self._constraint is not None:
            self._constraint.accept(token)

    def choose(self, logits: torch.Tensor) -> Chosen:
        """From the model's `logits`, float32 of shape (vocabulary,); `accept` is up to the owner.

        Raises:
            ValueError: no token is left to choose from.
        """
        scores = self._penalized(logits.clone())
        if self.settings.temperature == 0:
            token = int(scores.argmax())
        else:
            warped = self._warpers(None, scores[None])[0]
            token = int(torch.multinomial(_probabilities(warped), 1, generator=self._draws(logits)))
        return self.told(logits, token)

    def told(self, logits: torch.Tensor, token: int) -> Chosen:
        wanted = self.settings.logprobs
        if wanted is None:
            return Chosen(token)
        logprobs = torch.log_softmax(logits, dim=-1)
        values, tokens = logprobs.topk(wanted) if wanted else ((), ())
        top = tuple((int(t), _finite(float(v))) for t, v in zip(tokens, values, strict=True))
        return Chosen(token, _finite(float(logprobs[token])), top)

    def _penalized(self, scores: torch.Tensor) -> torch.Tensor:
        settings = self.settings
        for token, bias in settings.logit_bias.items():
            scores[token] += bias
        if settings.repetition_penalty != 1.0:
            seen = torch.tensor([self._tokens], device=scores.device)
            penalize = RepetitionPenaltyLogitsProcessor(settings.repetition_penalty)
            scores = penalize(seen, scores[None])[0]
        if settings.frequency_penalty or settings.presence_penalty:
            counts = self._counted(scores)
            scores -= settings.frequency_penalty * counts
            scores -= settings.presence_penalty * (counts > 0)
        if self._constraint is not None:
            self._constraint.mask(scores)
        if len(self._tokens) - self._prompt_length < settings.min_tokens:
            return _without(self._ends, scores)
        return scores

    def _counted(self, scores: torch.Tensor) -> torch.Tensor:
        """How often each token stands in the answer so far: OpenAI's penalties spare the prompt."""
        if self._counts is None:
            answer = torch.tensor(self._tokens[self._prompt_length :], dtype=torch.long)
            counts = torch.bincount(answer, minlength=scores.shape[-1])
            self._counts = counts.to(scores.device, torch.float32)
        return self._counts

    def _draws(self, logits: torch.Tensor) -> Any:
        """A generator of its own, so that an answer's company doesn't change its draws."""
        if self._generator is None:
            self._generator = torch.Generator(logits.device)
            seed = self.settings.seed
            # Seeds may be negative; the generator takes 64 bits without a sign.
            self._generator.seed() if seed is None else self._generator.manual_seed(seed % 2**64)
        return self._generator


def choose(sampler: Sampler, logits: torch.Tensor, likeliest: int) -> Chosen:
    """One row's token; plain rows share a single look at the whole batch for the likeliest."""
    return sampler.told(logits, likeliest) if sampler.plain else sampler.choose(logits)


def _without(ends: Sequence[int], scores: torch.Tensor) -> torch.Tensor:
    """No end yet; but where a grammar leaves nothing else, the answer is whole."""
    open_ended = scores.clone()
    open_ended[list(ends)] = -math.inf
    return open_ended if bool((open_ended > -math.inf).any()) else scores


def _is_plain(settings: Sampling) -> bool:
    """The likeliest token as it stands."""
    return (
        settings.temperature == 0
        and not settings.logit_bias
        and settings.repetition_penalty == 1.0
        and not settings.frequency_penalty
        and not settings.presence_penalty
        and not settings.min_tokens
    )


def _warpers(settings: Sampling) -> Any:
    warpers = LogitsProcessorList()
    if settings.temperature not in (0, 1.0):
        warpers.append(TemperatureLogitsWarper(float(settings.temperature)))
    if settings.top_k > 0:
        warpers.append(TopKLogitsWarper(settings.top_k))
    if settings.top_p < 1.0:
        warpers.append(TopPLogitsWarper(settings.top_p))
    if settings.min_p > 0:
        warpers.append(MinPLogitsWarper(settings.min_p))
    if 0 < settings.typical_p < 1.0:
        warpers.append(TypicalLogitsWarper(settings.typical_p))
    return warpers


def _probabilities(scores: torch.Tensor) -> torch.Tensor:
    probabilities = torch.softmax(scores, dim=-1)
    if not bool(torch.isfinite(probabilities).all()):
        raise ValueError("the model's scores are no numbers: try another dtype, such as float32")
    return probabilities


def _finite(logprob: float) -> float:
    """JSON has no infinity; clients know this one as nothing at all."""
    return max(logprob, -9999.0)
