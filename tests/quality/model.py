"""A model of forty tokens as a server: its distributions are known, so that figures can be too."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bench.workloads.stub import served
from pilotlight.bench.target import Target

SIZE = 40
START = 39


@dataclass
class Tiny:
    """`noise` moves its logits away from those of a model without any."""

    noise: float = 0.0
    starts: bool = False
    top_most: int = 100
    biased: bool = False
    """Told probabilities are those after the bias, as some servers do."""

    prompt_logprobs: bool = False
    lists: bool = False
    """OpenAI's older shape, which has no ids."""

    offset: int = 0
    """Another vocabulary."""

    asked: list[dict[str, Any]] = field(default_factory=list)

    def logprobs(self, prefix: Sequence[int], bias: dict[str, float] | None = None) -> list[float]:
        draw, moved = Random(str(list(prefix))), Random(f"noise {list(prefix)}")
        logits = [draw.gauss(0, 3) for _ in range(SIZE)]
        logits = [logit + moved.gauss(0, 1) * self.noise for logit in logits]
        for token, amount in (bias or {}).items():
            logits[int(token)] += amount
        total = math.log(math.fsum(map(math.exp, logits)))
        return [logit - total for logit in logits]

    def tokens(self, text: str) -> list[int]:
        return [(ord(character) + self.offset) % (SIZE - 1) for character in text]

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        self.asked.append(body)
        if path == "/tokenize" and "content" in body:
            start = [START] if self.starts and body.get("add_special") else []
            return 200, {"tokens": start + self.tokens(body["content"])}
        if path == "/v1/completions":
            return self._completion(body)
        if path == "/v1/models":
            return 200, {"object": "list", "data": [{"id": "tiny", "object": "model"}]}
        return 404, {"error": {"message": "no such path"}}

    def _completion(self, body: dict[str, Any]) -> tuple[int, Any]:
        prompt, most = body["prompt"], body.get("n_probs") or body.get("logprobs") or 0
        if "prompt_logprobs" in body:
            if not self.prompt_logprobs:
                return 400, {"error": {"message": "unknown field 'prompt_logprobs'"}}
            return 200, {"choices": [{"prompt_logprobs": self._prompt(prompt, body)}]}
        if most > self.top_most:
            return 400, {"error": {"message": "too many"}}
        bias = body.get("logit_bias")
        plain, told = self.logprobs(prompt), self.logprobs(prompt, bias)
        chosen = max(range(SIZE), key=told.__getitem__)
        shown = told if self.biased else plain
        top = sorted(range(SIZE), key=lambda token: -shown[token])[:most]
        choice: dict[str, Any] = {"text": name(chosen)}
        if most and self.lists:
            choice["logprobs"] = {
                "tokens": [name(chosen)],
                "token_logprobs": [shown[chosen]],
                "top_logprobs": [{name(token): shown[token] for token in top}],
            }
        elif most:
            entry = {"id": chosen, "token": name(chosen), "logprob": shown[chosen]}
            others = [{"id": t, "token": name(t), "logprob": shown[t]} for t in top]
            choice["logprobs"] = {"content": [{**entry, "top_logprobs": others}]}
        return 200, {"choices": [choice]}

    def _prompt(self, prompt: list[int], body: dict[str, Any]) -> list[Any]:
        told: list[Any] = [None]
        for at in range(1, len(prompt)):
            found = self.logprobs(prompt[:at])
            top = sorted(range(SIZE), key=lambda token: -found[token])[: body["prompt_logprobs"]]
            told.append({
                str(token): {"logprob": found[token], "decoded_token": name(token)}
                for token in {*top, prompt[at]}
            })  # fmt: skip
        return told


def name(token: int) -> str:
    return f"t{token}"


@asynccontextmanager
async def up(model: Tiny) -> AsyncIterator[Target]:
    async with served(model.answer) as target:
        yield target
