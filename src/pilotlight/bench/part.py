"""One run with its slices and its window, and how much of what lies inside that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pilotlight.bench.load import Load
from pilotlight.bench.numbers import Window
from pilotlight.bench.record import Record
from pilotlight.bench.slicing import Pieces, answering, pieces, prefilling, share_inside, span
from pilotlight.bench.slo import Slo
from pilotlight.bench.steady import after_cold, window


@dataclass(frozen=True, slots=True)
class Part:
    """One run, its slices and its window."""

    records: Sequence[Record]
    pieces: Pieces
    window: Window

    @property
    def counted(self) -> list[Record]:
        """In order of when they were due: neighbours are what may depend on each other."""
        found = (one for one in self.records if self.window.counts(one))
        return sorted(found, key=lambda one: one.scheduled_s)

    @property
    def answers(self) -> list[Record]:
        """All, for a rate is the server's: what reaches in of a warm-up is its work too."""
        return [one for one in self.records if one.ok]

    def slices(self, series: Sequence[float]) -> list[float]:
        return [series[at] for at in self.pieces.inside(self.window.start_s, self.window.end_s)]


def wall_s(records: Sequence[Record]) -> float:
    """From the first that was due after the warm-up."""
    measured = [record for record in records if not record.warmup]
    if not measured:
        return 0.0
    return max(one.ended_s for one in measured) - min(one.scheduled_s for one in measured)


def part_of(
    records: Sequence[Record], load: Load, slo: Slo | None, width: float, whole: bool
) -> Part:
    found = pieces(records, slo, width)
    if not whole or not records:
        return Part(records, found, window(records, load, found))
    counted = [one for one in records if not one.warmup and not one.cold]
    begin = after_cold(records, counted) if counted else 0.0
    end = max(one.ended_s for one in records) if counted else begin
    how = "all of the run after its warm-up and its cold start, as asked"
    return Part(records, found, Window(start_s=begin, end_s=max(begin, end), how=how))


def requests(part: Part, slo: Slo | None = None) -> float:
    good = (one for one in part.answers if slo is None or slo.met_by(one))
    return _sum_inside(part, ((span(one), 1.0) for one in good))


def output_tokens(part: Part) -> float:
    return _sum_inside(part, ((answering(one), one.output_tokens or 0) for one in part.answers))


def input_tokens(part: Part) -> float:
    return _sum_inside(part, ((prefilling(one), one.input_tokens or 0) for one in part.answers))


def in_flight_s(part: Part) -> float:
    spans = (span(one) for one in part.records)
    return _sum_inside(part, ((each, each[1] - each[0]) for each in spans))


def _sum_inside(part: Part, spans: Iterable[tuple[tuple[float, float], float]]) -> float:
    found = part.window
    return sum(amount * share_inside(each, found.start_s, found.end_s) for each, amount in spans)
