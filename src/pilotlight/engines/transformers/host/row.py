"""One answer under way: what it was asked, what it has said, and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .failure import Failure
from .sampling import Chosen, Sampler
from .text import Stops, TextStream


@dataclass(frozen=True)
class Piece:
    """What one token added. The last one has a `finish`: ``stop`` or ``length``."""

    text: str
    tokens: tuple[Chosen, ...]
    count: int
    """Tokens of the answer so far."""

    finish: str | None = None


Emit = Callable[[Piece | Failure], None]


class Row:
    """Owned by the computing thread, but for `cancelled`, which anybody may set."""

    def __init__(
        self,
        prompt: Sequence[int],
        sampler: Sampler,
        decode: Callable[[list[int]], str],
        *,
        limit: int,
        ends: Sequence[int],
        stop: Sequence[str],
        emit: Emit,
    ) -> None:
        self.prompt = list(prompt)
        self.sampler = sampler
        self.count = 0
        self.cancelled = False
        self.finish: str | None = None
        self.last = -1
        self._text = TextStream(decode, self.prompt)
        self._stops = Stops(stop)
        self.limit = limit
        self._ends = frozenset(ends)
        self._emit = emit
        self._untold: list[Chosen] = []

    @property
    def done(self) -> bool:
        return self.cancelled or self.finish is not None

    @property
    def length(self) -> int:
        """Tokens that the model has read once the last one is fed to it."""
        return len(self.prompt) + self.count

    def accept(self, chosen: Chosen) -> None:
        """The next token; an end of the sequence counts and is not shown."""
        self.last = chosen.token
        self.count += 1
        self.sampler.accept(chosen.token)
        if chosen.token in self._ends:
            self._finish("stop", "")
            return
        self._untold.append(chosen)
        text = self._stops.push(self._text.push(chosen.token))
        if self._stops.hit or self.sampler.finished:
            self._finish("stop", text)
        elif self.count >= self.limit:
            self._finish("length", text)
        elif text or chosen.logprob is not None:
            self._tell(Piece(text, self._told(), self.count))

    def fail(self, failure: Failure) -> None:
        self.finish = "error"
        self._tell(failure)

    def _finish(self, reason: str, text: str) -> None:
        self.finish = reason
        if not self._stops.hit:
            text += self._stops.push(self._text.flush())
            text += self._stops.flush()
            if self._stops.hit:
                self.finish = "stop"
        self._tell(Piece(text, self._told(), self.count, self.finish))

    def _told(self) -> tuple[Chosen, ...]:
        told, self._untold = tuple(self._untold), []
        return told

    def _tell(self, what: Piece | Failure) -> None:
        if not self.cancelled:
            self._emit(what)
