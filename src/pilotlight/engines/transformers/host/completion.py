"""Completions as OpenAI writes them, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import answers
from .answers import Document, Envelope
from .loading import Loaded
from .row import Piece
from .sampling import Chosen


class CompletionWriter:
    """Objects for the pieces of one request's answers; they are numbered prompt by prompt."""

    def __init__(self, loaded: Loaded, count: int, prompt: int) -> None:
        """`count` answers in all, to prompts of `prompt` tokens together."""
        self._envelope = Envelope(loaded.job.name, "text_completion")
        self._decode: Any = loaded.tokenizer.decode
        self._prompt = prompt
        self._choices = [_Choice() for _ in range(count)]

    def chunks(self, index: int, piece: Piece) -> Iterator[Document]:
        choice = self._choices[index]
        told = answers.completion_logprobs(self._decode, piece.tokens, len(choice.text))
        choice.take(piece)
        made = {
            "index": index, "text": piece.text, "logprobs": told, "finish_reason": piece.finish,
        }  # fmt: skip
        if piece.text or told or piece.finish:
            yield self._envelope.wrap([made], self._usage() if piece.finish else None)

    def add(self, index: int, piece: Piece) -> None:
        self._choices[index].take(piece)

    def whole(self) -> Document:
        return self._envelope.wrap(
            [
                {
                    "index": index,
                    "text": choice.text,
                    "logprobs": answers.completion_logprobs(self._decode, choice.tokens),
                    "finish_reason": choice.finished,
                }
                for index, choice in enumerate(self._choices)
            ],
            self._usage(),
        )

    def counted(self) -> Document:
        return self._envelope.wrap([], self._usage())

    def _usage(self) -> Document:
        return answers.usage(self._prompt, sum(choice.count for choice in self._choices))


class _Choice:
    def __init__(self) -> None:
        self.text = ""
        self.tokens: tuple[Chosen, ...] = ()
        self.finished: str | None = None
        self.count = 0

    def take(self, piece: Piece) -> None:
        self.text += piece.text
        self.tokens += piece.tokens
        self.finished = piece.finish
        self.count = piece.count
