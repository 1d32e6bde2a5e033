"""Text of exactly so many tokens: common words, each one token wherever it stands.

Tokenizers part text at spaces before they look for tokens, or have no token with a space inside
it. So a text's tokens are the sum of its words', and words that are one token each need no more
counting: texts can be made while a run is measured. `prepare_wording` checks the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random

from pilotlight.bench.tokens.tokenizer import Tokenizer
from pilotlight.errors import BenchError

ENOUGH = 400
"""Words to choose from: two texts that start alike by chance are rare after two words."""

TOO_FEW = 50
"""A vocabulary with fewer of these words as tokens is of another language than English."""

FIRST = 16
"""Words tried for the start of a text: each takes a question of its own."""

LOT = 50
"""Words counted together; a lot that comes out longer is halved until its long word is alone."""


@cache
def common_words() -> tuple[str, ...]:
    """Ours, the shortest first: those are tokens of their own in most vocabularies."""
    words = files("pilotlight.bench").joinpath("data/words.txt").read_text().split()
    return tuple(sorted(words, key=len))


@dataclass(frozen=True, slots=True)
class Wording:
    """`words` are one token each after a space, `heads` also without one."""

    heads: tuple[str, ...]
    words: tuple[str, ...]
    source: str

    def text(self, tokens: int, random: Random) -> str:
        """A text that has exactly `tokens` of them, at least one."""
        head = random.choice(self.heads)
        return head + self.more(tokens - 1, random)

    def more(self, tokens: int, random: Random) -> str:
        """What adds exactly `tokens` to a text of this wording; starts with a space."""
        if tokens < 1:
            return ""
        return " " + " ".join(random.choices(self.words, k=tokens))


async def prepare_wording(tokenizer: Tokenizer) -> Wording:
    """Words that are one token each for this model.

    Raises:
        BenchError: there are too few, or their tokens don't add up.
        ServerError: the server that counts can't be asked.
    """
    words = await _single(tokenizer, common_words())
    if len(words) < TOO_FEW:
        raise BenchError(
            f"only {len(words)} of {len(common_words())} common English words are one token "
            f"for this model, as counted by {tokenizer.source}",
            hint="use a workload of texts: builtin, jsonl or sharegpt",
        )
    shortest = words[:FIRST]
    counts = await tokenizer.count(shortest)
    heads = [word for word, count in zip(shortest, counts, strict=True) if count == 1]
    wording = Wording(tuple(heads or words[:1]), tuple(words), tokenizer.source)
    await _check(tokenizer, wording)
    return wording


async def _single(tokenizer: Tokenizer, words: Sequence[str]) -> list[str]:
    """Group testing: a lot of n words that has n tokens has none with more than one."""
    found: list[str] = []
    waiting = [list(words[at : at + LOT]) for at in range(0, len(words), LOT)]
    while waiting and len(found) < ENOUGH:
        # As many lots as would be enough if all were good; the rest may never be asked for.
        due = max(1, -(-(ENOUGH - len(found)) // LOT))
        lots, waiting = waiting[:due], waiting[due:]
        halves: list[list[str]] = []
        for lot, count in zip(lots, await _counts(tokenizer, lots), strict=True):
            if count == len(lot):
                found += lot
            elif len(lot) > 1:
                halves += [lot[: len(lot) // 2], lot[len(lot) // 2 :]]
        waiting = halves + waiting
    return found


async def _counts(tokenizer: Tokenizer, lots: Sequence[Sequence[str]]) -> list[int]:
    """Of each lot after a word that is there for the space before the first only."""
    before = "the"
    counts = await tokenizer.count([before, *(" ".join([before, *lot]) for lot in lots)])
    return [count - counts[0] for count in counts[1:]]


async def _check(tokenizer: Tokenizer, wording: Wording) -> None:
    random = Random(0)
    due = (1, 37, 300)
    counts = await tokenizer.count([wording.text(tokens, random) for tokens in due])
    if tuple(counts) != due:
        raise BenchError(
            f"texts of {due} words have {tuple(counts)} tokens, as counted by {tokenizer.source}: "
            "this tokenizer joins words, so that exact lengths can't be made",
            hint="use a workload of texts: builtin, jsonl or sharegpt",
        )
