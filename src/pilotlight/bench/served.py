"""What prices need of a stage's runs: how many answers, how long, how many tokens."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence

from pilotlight.bench.costs import Served
from pilotlight.bench.numbers import Window
from pilotlight.bench.record import Record
from pilotlight.bench.run import Run
from pilotlight.meter.measuring import Span, seconds_of


def served(
    runs: Sequence[Run], windows: Sequence[Window], watts: float | None = None
) -> Served | None:
    """Answers that ended in the windows, cold ones too: they are paid for. None without any."""
    parts = [part for part in zip(runs, windows, strict=True) if part[1].seconds > 0]
    ended = [
        record
        for run, window in parts
        for record in run.records
        if record.ok and window.start_s <= record.ended_s <= window.end_s
    ]
    if not ended:
        return None
    seconds = sum(window.seconds for _, window in parts)
    spans = [_in_flight(run.records, window) for run, window in parts]
    busy = [list(_joined(lot)) for lot in spans]
    return Served(
        seconds=seconds,
        requests=len(ended),
        input_tokens=_mean(record.input_tokens for record in ended),
        output_tokens=_mean(record.output_tokens for record in ended),
        ttft_s=_mean(record.first_s and record.first_s - record.sent_s for record in ended),
        request_s=statistics.fmean(record.ended_s - record.sent_s for record in ended),
        at_once=sum(seconds_of(lot) for lot in spans) / seconds,
        busy_share=min(1.0, sum(seconds_of(lot) for lot in busy) / seconds),
        busy_spans=sum(map(len, busy)),
        watts=watts,
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _in_flight(records: Iterable[Record], window: Window) -> list[Span]:
    """Each one's time, as far as it is in the window; in order."""
    cut = (
        (max(record.sent_s, window.start_s), min(record.ended_s, window.end_s))
        for record in records
    )
    return sorted((begin_s, end_s) for begin_s, end_s in cut if end_s > begin_s)


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """The times in which there was at least one."""
    held: Span | None = None
    for begin_s, end_s in spans:
        if held is not None and begin_s <= held[1]:
            held = (held[0], max(held[1], end_s))
            continue
        if held is not None:
            yield held
        held = (begin_s, end_s)
    if held is not None:
        yield held
