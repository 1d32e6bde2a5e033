"""What one request took: filled while it runs, read when the client has its answer."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

from pilotlight.core import Usage
from pilotlight.gateway.plan import Plan
from pilotlight.gateway.wire.usage import HEAD_BYTES, TAIL_BYTES
from pilotlight.replica.replica import Replica

GAPS_KEPT = 8192
"""Gaps between events of one stream that are kept for the histogram."""


class Receipt(Protocol):
    """A request's way into the ledger; see `books`."""

    def granted(self, replica: Replica) -> None:
        """It has its slot."""

    def headers(self, plan: Plan, account: Account) -> list[tuple[str, str]]:
        """What it cost, for an answer that is whole and hasn't begun to be sent."""

    def close(self, plan: Plan | None, account: Account, outcome: str) -> None:
        """All that the engine will say of it is in `account`. Only the first call counts."""


class NoReceipt:
    """Where no ledger is kept."""

    def granted(self, replica: Replica) -> None: ...

    def headers(self, plan: Plan, account: Account) -> list[tuple[str, str]]:
        return []

    def close(self, plan: Plan | None, account: Account, outcome: str) -> None: ...


NO_RECEIPT = NoReceipt()


@dataclass(slots=True)
class Account:
    """What one request took; filled as it goes, read once at its end. Times are perf_counter's."""

    queue_s: float | None = None
    first_byte_s: float | None = None
    last_byte_s: float = 0.0
    gaps_s: list[float] = field(default_factory=list)
    head: bytes = b""
    tail: list[bytes] = field(default_factory=list)
    tail_bytes: int = 0
    usage: Usage | None = None
    replica: str | None = None
    events: int = 0
    billable: bool = False
    """The engine has the request and didn't refuse it; whoever bills for it may do so now."""

    receipt: Receipt = NO_RECEIPT

    sending_since_s: float | None = None
    """Since when the client has been taking bytes, on the router's clock."""

    def granted(self, replica: str, arrived_s: float) -> None:
        self.replica = replica
        self.queue_s = time.perf_counter() - arrived_s

    def saw(self, chunk: bytes, now: float) -> None:
        # Those that end here: one may come in several parts.
        events = chunk.count(b"\n\n") or chunk.count(b"\r\n\r\n")
        self.events += events
        if self.first_byte_s is None:
            self.first_byte_s = now
            self.head = chunk[:HEAD_BYTES]
        elif len(self.gaps_s) < GAPS_KEPT:
            self.gaps_s.append((now - self.last_byte_s) / (events or 1))
        self.last_byte_s = now
        self.tail.append(chunk)
        self.tail_bytes += len(chunk)
        while self.tail_bytes - len(self.tail[0]) >= TAIL_BYTES:
            self.tail_bytes -= len(self.tail.pop(0))
