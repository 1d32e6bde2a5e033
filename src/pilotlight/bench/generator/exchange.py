"""One request on the wire and its answer, raw: what came, with the time of each read.

Mutable, for the hot path only stamps and keeps; `stream.read` makes sense of it later. Times are
on `time.perf_counter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotlight.bench.record import ErrorKind

if TYPE_CHECKING:
    from pilotlight.bench.generator.connection import Connection


class Exchange:
    """`pieces` are the body's bytes as they came, each with the `stamps` of its read."""

    __slots__ = (
        "complete", "connection", "ended_s", "failure", "first_read_s", "headers", "payload",
        "pieces", "sent_s", "stamps", "status",
    )  # fmt: skip

    def __init__(self, payload: bytes, sent_s: float) -> None:
        self.payload = payload
        self.sent_s = sent_s
        """At first of when it was turned to, then of when it went out."""

        self.connection: Connection | None = None
        self.first_read_s: float | None = None
        self.ended_s = 0.0
        self.status: int | None = None
        self.headers: dict[bytes, bytes] = {}
        self.pieces: list[bytes] = []
        self.stamps: list[float] = []
        self.complete = False
        """It came to its end as HTTP."""

        self.failure: tuple[ErrorKind, str] | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.pieces))
