"""What became of one request. Times are seconds on the run's clock, which starts at 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ErrorKind = Literal[
    "refused", "rate-limited", "server", "timeout", "connection", "broken-off", "malformed"
]
"""4xx; 429 and 503; other 5xx; no end in time; no connection; ended midway; not its API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One request. Whatever never happened is None, and so is what the server didn't say."""

    index: int
    scheduled_s: float
    """When it was due: a closed loop's is when its worker was free. The truth for latencies."""

    sent_s: float
    """When its first byte was handed to the socket, on a connection that stood."""

    first_s: float | None = None
    """When the first piece of the answer with content was here; comments and roles aren't."""

    last_s: float | None = None
    """When the last piece with content was here."""

    ended_s: float
    gaps_ms: tuple[float, ...] = ()
    """Between reads with content, raw: `output_tokens` over them says how many tokens each had."""

    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    """From the server's usage."""

    finish_reason: str | None = None
    error: ErrorKind | None = None
    status: int | None = None
    message: str | None = None
    """Of the error, one line."""

    warmup: bool = False
    cold: bool = False
    """It waited for the model to load; told by the server, or known from how the run began."""

    group: str = ""
    session: str | None = None
    turn: int = 0
    server_ttft_ms: float | None = None
    server_queue_ms: float | None = None
    """As its headers say, where the server is Pilotlight with `timing_headers`."""

    @property
    def ok(self) -> bool:
        return self.error is None

    @property
    def ttft_ms(self) -> float | None:
        """What the client felt: from when it was due."""
        return None if self.first_s is None else (self.first_s - self.scheduled_s) * 1000

    @property
    def ttft_from_send_ms(self) -> float | None:
        return None if self.first_s is None else (self.first_s - self.sent_s) * 1000

    @property
    def tpot_ms(self) -> float | None:
        """After the first token, over the tokens after it; None with fewer than two, and of an
        answer that came in one piece: then nobody saw when they came."""
        if self.first_s is None or self.last_s is None or (self.output_tokens or 0) < 2:
            return None
        if self.first_s == self.last_s:
            return None
        return (self.last_s - self.first_s) * 1000 / ((self.output_tokens or 0) - 1)

    @property
    def e2e_ms(self) -> float:
        return (self.ended_s - self.scheduled_s) * 1000

    @property
    def lag_ms(self) -> float:
        """How late the generator was."""
        return (self.sent_s - self.scheduled_s) * 1000
