"""Runs cut into equal pieces of time, so that rates have samples.

What takes time is spread over it: an answer's tokens from its first to its last, its prompt from
sending to the first token, and the request itself from sending to its end. Counting where things
end would add the noise of the edges to every figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pilotlight.bench.record import Record
from pilotlight.bench.slo import Slo

FEWEST = 60
"""Slices of a run, about; up to two and a half times as many."""

MOST = 2000
"""Of the longest of runs that were cut by the shortest."""


def width_s(runs_s: Sequence[float]) -> float:
    """For runs of these lengths. A round figure: 1, 2 or 5 times a power of ten."""
    known = [run_s for run_s in runs_s if run_s > 0] or [1.0]
    most = max(min(known) / FEWEST, max(known) / MOST)
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1, 2, 5) if step * power <= most * (1 + 1e-9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """One run, an entry a slice."""

    width_s: float
    in_flight: Sequence[float]
    present: Sequence[float]
    """Due and not answered: in flight, or still held back."""

    completed: Sequence[float]
    good: Sequence[float]
    output_tokens: Sequence[float]
    input_tokens: Sequence[float]
    errors: Sequence[int]

    @property
    def total_tokens(self) -> Sequence[float]:
        return [a + b for a, b in zip(self.output_tokens, self.input_tokens, strict=True)]

    def inside(self, begin_s: float, end_s: float) -> range:
        """The slices that lie whole in it."""
        return range(
            math.ceil(begin_s / self.width_s - 1e-9),
            min(math.floor(end_s / self.width_s + 1e-9), len(self.in_flight)),
        )


def pieces(records: Sequence[Record], slo: Slo | None, width: float) -> Pieces:
    ends = max((record.ended_s for record in records), default=0.0)
    count = max(math.ceil(ends / width), 1)
    in_flight, present, completed, good, output, given = ([0.0] * count for _ in range(6))
    errors = [0] * count
    for record in records:
        _spread(in_flight, width, span(record), record.ended_s - record.sent_s)
        due_s = record.scheduled_s
        _spread(present, width, (due_s, record.ended_s), record.ended_s - due_s)
        if not record.ok:
            errors[min(int(record.ended_s / width), count - 1)] += 1
            continue
        _spread(completed, width, span(record), 1.0)
        _spread(output, width, answering(record), record.output_tokens or 0)
        _spread(given, width, prefilling(record), record.input_tokens or 0)
        if slo is None or slo.met_by(record):
            _spread(good, width, span(record), 1.0)
    return Pieces(
        width_s=width,
        in_flight=[seconds / width for seconds in in_flight],
        present=[seconds / width for seconds in present],
        completed=completed,
        good=good,
        output_tokens=output,
        input_tokens=given,
        errors=errors,
    )


Span = tuple[float, float]


def span(record: Record) -> Span:
    return record.sent_s, record.ended_s


def answering(record: Record) -> Span:
    first = record.ended_s if record.first_s is None else record.first_s
    return first, first if record.last_s is None else record.last_s


def prefilling(record: Record) -> Span:
    return record.sent_s, record.ended_s if record.first_s is None else record.first_s


def share_inside(part: Span, begin_s: float, end_s: float) -> float:
    """Of a span, 0 to 1; a moment is inside or not."""
    length = part[1] - part[0]
    if length <= 0:
        return float(begin_s <= part[0] <= end_s)
    return max(min(part[1], end_s) - max(part[0], begin_s), 0.0) / length


def _spread(cells: list[float], width: float, part: Span, amount: float) -> None:
    begin, end = part
    first = min(int(begin / width), len(cells) - 1)
    last = min(int(end / width), len(cells) - 1)
    if first == last:
        cells[first] += amount
        return
    each = amount / (end - begin)
    cells[first] += each * ((first + 1) * width - begin)
    for index in range(first + 1, last):
        cells[index] += each * width
    cells[last] += each * (end - last * width)
