"""A streamed chat answer, as pieces of text and what they say about its speed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pilotlight.cli.connection import refusal
from pilotlight.errors import ServerUnreachableError


@dataclass(frozen=True, slots=True)
class Piece:
    """What one line of the stream brought."""

    text: str = ""
    thinking: str = ""
    waiting: bool = False
    """The server says that it is still there, and has nothing yet."""

    tokens: int | None = None
    """Tokens of the whole answer, as the engine counted them: near the end of the stream."""


def pieces(lines: Iterable[bytes]) -> Iterator[Piece]:
    """Read server-sent events until the answer is complete.

    Raises:
        ServerRefusedError: an error arrived in the middle of the stream.
        ServerUnreachableError: the stream ended before its end was said.
    """
    for line in lines:
        kind, _, data = line.strip().partition(b":")
        if kind == b"" and data:
            yield Piece(waiting=True)
        if kind != b"data":
            continue
        if data.strip() == b"[DONE]":
            for _ in lines:
                pass  # leaving before the last byte would look to the server like giving up
            return
        yield _piece(_event(data))
    raise ServerUnreachableError(
        "the answer broke off: the server closed the connection",
        hint="look at the server's log, then ask again",
    )


def _event(data: bytes) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise ServerUnreachableError(f"the answer holds {data[:80]!r}, which is no event")
    return event


def _piece(event: dict[str, Any]) -> Piece:
    if event.get("error"):
        raise refusal(event["error"], 500)
    choices = event.get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    return Piece(
        text=delta.get("content") or "",
        thinking=delta.get("reasoning_content") or "",
        tokens=(event.get("usage") or {}).get("completion_tokens"),
    )


@dataclass(slots=True)
class Speed:
    """Times of one answer, in seconds on the caller's monotonic clock."""

    asked_s: float
    first_s: float | None = None
    last_s: float | None = None
    tokens: int | None = None

    def saw(self, piece: Piece, now_s: float) -> None:
        if piece.text or piece.thinking:
            self.first_s = self.first_s or now_s
            self.last_s = now_s
        if piece.tokens is not None:
            self.tokens = piece.tokens

    def summary(self) -> str:
        """Time to the first token, and the rate after it; what isn't known is left out."""
        if self.first_s is None or self.last_s is None:
            return ""
        said = [f"first token {(self.first_s - self.asked_s) * 1000:.0f} ms"]
        if self.tokens is not None:
            said.insert(0, f"{self.tokens} tokens")
            # The first token is what the rate starts from, so it isn't counted.
            if self.tokens > 1 and self.last_s > self.first_s:
                rate = (self.tokens - 1) / (self.last_s - self.first_s)
                said.append(f"{rate:.1f} tokens/s")
        return ", ".join(said)
