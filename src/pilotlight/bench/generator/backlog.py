"""Answers that ended and are yet to be read: made records of when nothing is more urgent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator

from pilotlight.bench.generator.connection import QUEUE_HEADER, TTFT_HEADER
from pilotlight.bench.generator.stream import Reading, reading
from pilotlight.bench.generator.visit import Turn
from pilotlight.bench.record import Record

FULL_BYTES = 64 * 2**20


class Backlog:
    """`zero_s` is the records' 0 on the exchanges' clock."""

    def __init__(self, on_record: Callable[[Record], None] | None) -> None:
        self._on_record = on_record
        self._turns: deque[Turn] = deque()
        self._bytes = 0
        self._under_way: tuple[Turn, Generator[None, None, Reading]] | None = None
        self.records: list[Record] = []
        self.errors = 0
        self.zero_s = 0.0

    @property
    def is_full(self) -> bool:
        """Reading is as urgent as sending then: memory is bounded, and lateness is reported."""
        return self._bytes > FULL_BYTES

    def put(self, turn: Turn) -> None:
        self._turns.append(turn)
        self._bytes += turn.exchange.size_bytes

    def step(self) -> bool:
        """Some tens of microseconds of work; whether there was any."""
        if self._under_way is None:
            if not self._turns:
                return False
            turn = self._turns.popleft()
            self._under_way = turn, reading(turn.exchange)
        turn, steps = self._under_way
        try:
            next(steps)
        except StopIteration as end:
            self._under_way = None
            self._bytes -= turn.exchange.size_bytes
            self._keep(record_of(turn, end.value, self.zero_s))
        return True

    def _keep(self, record: Record) -> None:
        self.records.append(record)
        self.errors += not record.ok
        if self._on_record is not None:
            self._on_record(record)

    def finish(self) -> None:
        """Read all, and put the records in the order in which they were sent."""
        while self.step():
            pass
        self.records.sort(key=lambda record: record.index)


def record_of(turn: Turn, found: Reading, zero_s: float) -> Record:
    first_s, last_s = found.first_s, found.last_s
    ask, exchange = turn.ask, turn.exchange
    return Record(
        index=turn.index,
        scheduled_s=turn.due_s,
        sent_s=exchange.sent_s - zero_s,
        first_s=None if first_s is None else first_s - zero_s,
        last_s=None if last_s is None else last_s - zero_s,
        ended_s=exchange.ended_s - zero_s,
        gaps_ms=found.gaps_ms,
        input_tokens=found.input_tokens,
        cached_tokens=found.cached_tokens,
        output_tokens=found.output_tokens,
        finish_reason=found.finish_reason,
        error=found.error,
        status=exchange.status,
        message=found.message,
        warmup=turn.warmup,
        group=ask.group,
        session=ask.session,
        turn=ask.turn,
        server_ttft_ms=_number(exchange.headers.get(TTFT_HEADER)),
        server_queue_ms=_number(exchange.headers.get(QUEUE_HEADER)),
    )


def _number(text: bytes | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
