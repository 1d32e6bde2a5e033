"""Tokens to text as they come, and the strings that end an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

CONTEXT = 5
"""Tokens of the prompt that the first ones are decoded after: some decoders drop a leading
space at the start of a text."""

_BROKEN = "\ufffd"


class TextStream:
    """Text in whole characters: a token may hold half of one, and the next the rest."""

    def __init__(self, decode: Callable[[list[int]], str], prompt: Sequence[int]) -> None:
        self._decode = decode
        self._tokens = list(prompt[-CONTEXT:])
        self._start = 0
        self._read = len(self._tokens)

    def push(self, token: int) -> str:
        self._tokens.append(token)
        text = self._fresh()
        if not text or text.endswith(_BROKEN):
            return ""
        self._start, self._read = self._read, len(self._tokens)
        return text

    def flush(self) -> str:
        """What never became a whole character."""
        text = self._fresh()
        self._start = self._read = len(self._tokens)
        return text

    def _fresh(self) -> str:
        known = self._decode(self._tokens[self._start : self._read])
        return self._decode(self._tokens[self._start :])[len(known) :]


class Stops:
    """Lets text through up to the first of `words`; holds back what may become one."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(word for word in words if word)
        self._held = ""
        self.hit = False

    def push(self, text: str) -> str:
        if not self._words or self.hit:
            return "" if self.hit else text
        self._held += text
        found = [at for word in self._words if (at := self._held.find(word)) >= 0]
        if found:
            self.hit = True
            out, self._held = self._held[: min(found)], ""
            return out
        keep = max((_overlap(self._held, word) for word in self._words), default=0)
        cut = len(self._held) - keep
        out, self._held = self._held[:cut], self._held[cut:]
        return out

    def flush(self) -> str:
        out, self._held = self._held, ""
        return out


def _overlap(text: str, word: str) -> int:
    """The longest end of `text` that is a beginning of `word`."""
    for length in range(min(len(text), len(word) - 1), 0, -1):
        if word.startswith(text[-length:]):
            return length
    return 0
