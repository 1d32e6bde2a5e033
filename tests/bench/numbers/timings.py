"""Made runs, whose numbers can be told beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from pilotlight.bench.health import GeneratorHealth
from pilotlight.bench.load import Load
from pilotlight.bench.record import Record
from pilotlight.bench.report import Tested

TTFT_S = 0.1
TPOT_S = 0.02
TOKENS = 16
INPUT = 10
REQUEST_S = TTFT_S + TPOT_S * (TOKENS - 1)


@dataclass(frozen=True, slots=True)
class MadeRun:
    records: Sequence[Record]
    health: GeneratorHealth | None = None
    started_at: float = 1.7e9
    unfinished: int = 0
    dropped_turns: int = 0


def answered(index: int, due_s: float, *, sent_s: float | None = None, **other: object) -> Record:
    """A token every TPOT_S, the first TTFT_S after it was sent."""
    sent = due_s if sent_s is None else sent_s
    last = sent + REQUEST_S
    record = Record(
        index=index,
        scheduled_s=due_s,
        sent_s=sent,
        first_s=sent + TTFT_S,
        last_s=last,
        ended_s=last,
        gaps_ms=(TPOT_S * 1000,) * (TOKENS - 1),
        input_tokens=INPUT,
        output_tokens=TOKENS,
    )
    return replace(record, **other)  # type: ignore[arg-type]


def slower(record: Record, by: float) -> Record:
    """The same with all of its times since sending `by` as long."""

    def later(moment: float | None) -> float | None:
        return None if moment is None else record.sent_s + (moment - record.sent_s) * by

    ended = later(record.ended_s)
    assert ended is not None
    return replace(
        record,
        first_s=later(record.first_s),
        last_s=later(record.last_s),
        ended_s=ended,
        gaps_ms=tuple(gap * by for gap in record.gaps_ms),
    )


def closed(
    users: int = 4,
    requests: int = 200,
    change: Callable[[int, float, Record], Record] = lambda _, __, record: record,
) -> MadeRun:
    """Each user asks again when the answer is in. `change` gets index, due time and record."""
    free = [0.0] * users
    records = []
    for index in range(requests):
        user = min(range(users), key=free.__getitem__)
        record = change(index, free[user], answered(index, free[user]))
        records.append(record)
        free[user] = record.ended_s
    return MadeRun(records)


def noisy(seed: int, users: int = 4, requests: int = 200, by: float = 1.0) -> MadeRun:
    """Each answer is some per cent slower or faster, independently."""
    draw = Random(seed)
    return closed(
        users, requests, lambda _, __, record: slower(record, by * draw.uniform(0.9, 1.1))
    )


def failed(index: int, due_s: float, **other: object) -> Record:
    record = Record(index=index, scheduled_s=due_s, sent_s=due_s, ended_s=due_s + 0.01)
    return replace(record, **{"error": "server", "status": 500, **other})  # type: ignore[arg-type]


CLOSED = Load(kind="closed", concurrency=4)


def called(name: str) -> Tested:
    return Tested(name=name, model=name, options={"parallel": 4})
