"""Runs into the columns and slices of a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pilotlight.bench.columns import Columns, Slices
from pilotlight.bench.part import Part
from pilotlight.bench.record import Record
from pilotlight.bench.slicing import Pieces

MOST_ROWS = 20_000

Row = tuple[int, Record, bool]


def columns(parts: Sequence[Part]) -> Columns:
    """Every n-th request where there are more than can be kept; cold ones and errors always."""
    found = [
        (run, record, part.window.counts(record))
        for run, part in enumerate(parts)
        for record in sorted(part.records, key=lambda one: one.scheduled_s)
    ]
    step = max(-(-len(found) // MOST_ROWS), 1)
    rows = [row for at, row in enumerate(found) if at % step == 0 or row[1].cold or row[1].error]
    return _columns(rows, len(found))


def _columns(rows: Sequence[Row], of: int) -> Columns:
    records = [record for _, record, _ in rows]
    return Columns(
        of=of,
        run=tuple(run for run, _, _ in rows),
        scheduled_s=tuple(round(one.scheduled_s, 4) for one in records),
        ttft_ms=tuple(_ms(one.ttft_ms) for one in records),
        tpot_ms=tuple(_ms(one.tpot_ms) for one in records),
        e2e_ms=tuple(round(one.e2e_ms, 3) for one in records),
        lag_ms=tuple(round(one.lag_ms, 3) for one in records),
        input_tokens=tuple(one.input_tokens for one in records),
        output_tokens=tuple(one.output_tokens for one in records),
        error=tuple(one.error for one in records),
        cold=tuple(one.cold for one in records),
        counted=tuple(held for _, _, held in rows),
        group=tuple(one.group for one in records),
    )


def _ms(found: float | None) -> float | None:
    return None if found is None else round(found, 3)


def slices(parts: Sequence[Part]) -> Slices:
    rows = [
        (run, at, part, at in part.pieces.inside(part.window.start_s, part.window.end_s))
        for run, part in enumerate(parts)
        for at in range(len(part.pieces.in_flight))
    ]

    def series(pick: Callable[[Pieces], Sequence[float]]) -> tuple[float, ...]:
        return tuple(round(pick(part.pieces)[at], 3) for _, at, part, _ in rows)

    width = parts[0].pieces.width_s if parts else 1.0
    return Slices(
        seconds=width,
        run=tuple(run for run, *_ in rows),
        start_s=tuple(round(at * width, 6) for _, at, *_ in rows),
        counted=tuple(held for *_, held in rows),
        in_flight=series(lambda found: found.in_flight),
        completed=series(lambda found: found.completed),
        good=series(lambda found: found.good),
        output_tokens=series(lambda found: found.output_tokens),
        input_tokens=series(lambda found: found.input_tokens),
        errors=tuple(part.pieces.errors[at] for _, at, part, _ in rows),
    )
