"""Chat answers as OpenAI writes them, whole and streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from . import answers
from .answers import Document, Envelope
from .loading import Loaded
from .parts import THINK, Call, Part, Parts
from .prompt import tools_of
from .row import Piece
from .sampling import Chosen


def parts_for(loaded: Loaded, body: Document, text: str, forced: bool) -> Callable[[], Parts]:
    """How to take apart the answers to `text`, the prompt as the model reads it."""
    thinks = THINK in str(loaded.tokenizer.chat_template)
    region = "content"
    if forced:
        region = "call"
    elif thinks and text.rstrip().endswith(THINK):
        region = "thought"  # the template has opened it already
    return lambda: Parts(thinks=thinks, calls=bool(tools_of(body)), region=region)


class ChatWriter:
    """Objects for the pieces of one request's answers."""

    def __init__(
        self, loaded: Loaded, count: int, prompt: int, parts: Callable[[], Parts], *, streams: bool
    ) -> None:
        """`count` answers to a prompt of `prompt` tokens."""
        kind = "chat.completion.chunk" if streams else "chat.completion"
        self._envelope = Envelope(loaded.job.name, kind)
        self._decode: Any = loaded.tokenizer.decode
        self._prompt = prompt
        self._choices = [_Choice(parts()) for _ in range(count)]

    def chunks(self, index: int, piece: Piece) -> Iterator[Document]:
        """For a stream. The last one of an answer carries the usage so far, asked for or not."""
        choice = self._choices[index]
        before = choice.calls
        first = not choice.begun
        parts = choice.take(piece)
        role = {"role": "assistant", "content": ""} if first else {}
        change = {**role, **answers.delta(parts, before)}
        made: Document = {"index": index, "delta": change, "finish_reason": choice.finish(piece)}
        if (told := answers.chat_logprobs(self._decode, piece.tokens)) is not None:
            made["logprobs"] = told
        if change or told or piece.finish:
            yield self._envelope.wrap([made], self._usage() if piece.finish else None)

    def add(self, index: int, piece: Piece) -> None:
        choice = self._choices[index]
        choice.parts += choice.take(piece)
        choice.tokens += piece.tokens
        choice.finished = choice.finish(piece)

    def whole(self) -> Document:
        return self._envelope.wrap(
            [
                {
                    "index": index,
                    "message": answers.message(choice.parts),
                    "logprobs": answers.chat_logprobs(self._decode, choice.tokens),
                    "finish_reason": choice.finished,
                }
                for index, choice in enumerate(self._choices)
            ],
            self._usage(),
        )

    def counted(self) -> Document:
        """The chunk that a stream ends with where its client asked for usage."""
        return self._envelope.wrap([], self._usage())

    def _usage(self) -> Document:
        return answers.usage(self._prompt, sum(choice.count for choice in self._choices))


class _Choice:
    """One answer, taken apart as far as it has come."""

    def __init__(self, splitter: Parts) -> None:
        self.parts: list[Part] = []
        self.tokens: tuple[Chosen, ...] = ()
        self.finished: str | None = None
        self.calls = 0
        self.count = 0
        self.begun = False
        self._splitter = splitter

    def take(self, piece: Piece) -> list[Part]:
        self.begun = True
        self.count = piece.count
        parts = self._splitter.push(piece.text)
        if piece.finish:
            parts += self._splitter.flush()
        self.calls += sum(isinstance(part, Call) for part in parts)
        return parts

    def finish(self, piece: Piece) -> str | None:
        return answers.finish(piece, self.calls)
