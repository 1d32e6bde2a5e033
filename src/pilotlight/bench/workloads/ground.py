"""What a kind of workload is made with: who counts, and what the server adds to each prompt."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import msgspec

from pilotlight.bench.ask import PATHS, Ask, Kind
from pilotlight.bench.target import Target
from pilotlight.bench.tokens.finding import find_tokenizer
from pilotlight.bench.tokens.questions import ask_model
from pilotlight.bench.tokens.served import completion_tokens, prompt_tokens
from pilotlight.bench.tokens.tokenizer import Tokenizer
from pilotlight.bench.tokens.wording import Wording, prepare_wording
from pilotlight.errors import BenchError, ServerRefusedError

CALIBRATION_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Making:
    """Texts of exactly so many tokens, and `around`: what a prompt has beside its content."""

    wording: Wording
    around: int

    def content(self, prompt_tokens: int, random: Random) -> tuple[str, int]:
        """For a prompt of `prompt_tokens` in all, and how many of those are the content's.

        A prompt can't be shorter than what the server adds and one token.
        """
        tokens = max(1, prompt_tokens - self.around)
        return self.wording.text(tokens, random), tokens


@dataclass(frozen=True, slots=True)
class Ground:
    target: Target | None
    tokenizer: Tokenizer | None = None

    async def making(self, kind: Kind, system: str | None = None) -> Making:
        """Raises BenchError without a target: only the server knows what it adds."""
        wording = await prepare_wording(await self.counter())
        probe = wording.text(CALIBRATION_TOKENS, Random(0))
        if kind == "chat":
            [used] = await prompt_tokens(self._served(), [probe], system=system)
        else:
            used = await completion_tokens(self._served(), probe)
        return Making(wording, used - CALIBRATION_TOKENS)

    async def can_be_exact(self, kind: Kind) -> bool:
        """Whether the server takes the wish that answers have all their tokens."""
        ask = Ask(kind=kind, content="the", max_tokens=1, exact_output=True)
        wish = msgspec.json.decode(ask.body(""))
        plain = {key: wish[key] for key in wish if key not in ("model", "stream", "stream_options")}
        try:
            await ask_model(self._served(), PATHS[kind], plain)
        except ServerRefusedError as error:
            if error.answer not in (400, 422):
                raise
            return False
        return True

    async def counter(self) -> Tokenizer:
        return self.tokenizer or await find_tokenizer(self._served())

    def _served(self) -> Target:
        if self.target is None:
            raise BenchError(
                "texts of exact lengths are made with the model's own tokens, and no server "
                "is given to count them",
                hint="use a workload of texts: builtin, jsonl or sharegpt",
            )
        return self.target
