"""A chat so far, and one turn of it against the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from pilotlight.cli.answer import Piece, Speed, pieces
from pilotlight.cli.connection import Server, stream

_PATH = "/v1/chat/completions"


@dataclass(slots=True)
class Conversation:
    """Messages with one model; `sampling` holds only what the user set."""

    server: Server
    model: str
    system: str | None = None
    sampling: dict[str, Any] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    messages: list[dict[str, str]] = field(default_factory=list)
    speed: Speed = field(default_factory=lambda: Speed(0.0))

    def say(self, prompt: str) -> Generator[Piece]:
        """Ask, and give the answer piece by piece.

        An answer that was stopped half-way stays in the history as far as it
        was seen; a question that got nothing is taken back. Closing the
        iterator closes the connection, which frees the engine's slot.

        Raises:
            ServerUnreachableError, ServerRefusedError: see `connection.stream`.
        """
        question = {"role": "user", "content": prompt}
        seen: list[str] = []
        self.speed = Speed(self.clock())
        try:
            with stream(self.server, _PATH, self._request(question)) as lines:
                for piece in pieces(lines):
                    self.speed.saw(piece, self.clock())
                    seen.append(piece.text)
                    yield piece
        finally:
            if answer := "".join(seen):
                self.messages += [question, {"role": "assistant", "content": answer}]

    def reset(self) -> None:
        self.messages.clear()

    def _request(self, question: dict[str, str]) -> dict[str, Any]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return {
            "model": self.model,
            "messages": [*system, *self.messages, question],
            "stream": True,
            "stream_options": {"include_usage": True},
            **self.sampling,
        }
