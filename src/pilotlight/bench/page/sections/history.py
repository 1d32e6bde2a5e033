"""What happened when: load and answers over time, with warm-up, cold requests and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pilotlight.bench.columns import Slices
from pilotlight.bench.page.chart.timeline import Block, Lane, Span, Step, Tick, timeline
from pilotlight.bench.page.elements import figure, folded, section
from pilotlight.bench.report import Report, Stage
from pilotlight.bench.words.figure_rows import load_words
from pilotlight.bench.words.labels import Labelled

_BREAK = 0.01
"""Between two runs, as a share of all: they were not one run."""

_MOST_TICKS = 200
MOST_OPEN = 3
"""Timelines beyond which each waits to be asked for."""


def history(shown: Sequence[Labelled]) -> str:
    figures = [
        figure(each.name if len(shown) > 1 else "Load and answers", _drawn(each.report), wide=True)
        for each in shown
    ]
    if len(shown) > MOST_OPEN:
        figures = [
            folded(each.name, held) for each, held in zip(shown, figures, strict=True) if held
        ]
    return section(
        "Timeline",
        *figures,
        note="Grey is left out of the numbers (warm-up, and what lies outside the steady window); "
        "orange waited for the model to load; a cross is an error.",
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of one stage, and where on the common axis it begins."""

    stage: Stage
    number: int
    at_s: float
    seconds: float

    def slices(self) -> Iterator[int]:
        """Places of its slices in the stage's."""
        runs = self.stage.slices.run
        return (place for place, run in enumerate(runs) if run == self.number)


def _drawn(report: Report) -> str:
    runs = tuple(_laid_out(report))
    return timeline(
        "Requests in flight and output tokens per second over time",
        (_lane(runs, "requests in flight", 0, _in_flight),
         _lane(runs, "output tokens/s", 2, _tokens)),
        tuple(span for run in runs for span in _spans(run)),
        tuple(tick for run in runs for tick in _errors(run))[:_MOST_TICKS],
        tuple(_blocks(report, runs)),
    )  # fmt: skip


def _laid_out(report: Report) -> Iterator[_Run]:
    lengths = [
        (stage, number, _seconds(stage.slices, number))
        for stage in report.stages
        for number in sorted(set(stage.slices.run))
    ]
    gap = _BREAK * sum(seconds for _, _, seconds in lengths)
    at_s = 0.0
    for stage, number, seconds in lengths:
        yield _Run(stage, number, at_s, seconds)
        at_s += seconds + gap


def _seconds(slices: Slices, number: int) -> float:
    starts = [at for at, run in zip(slices.start_s, slices.run, strict=True) if run == number]
    return max(starts) + slices.seconds


def _in_flight(slices: Slices, place: int) -> float:
    return slices.in_flight[place]


def _tokens(slices: Slices, place: int) -> float:
    return slices.output_tokens[place] / slices.seconds


def _lane(
    runs: Sequence[_Run], name: str, look: int, value: Callable[[Slices, int], float]
) -> Lane:
    steps = []
    for run in runs:
        slices = run.stage.slices
        for place in run.slices():
            start_s = run.at_s + slices.start_s[place]
            steps.append(Step(start_s, start_s + slices.seconds, value(slices, place)))
    return Lane(name, look, tuple(steps))


def _spans(run: _Run) -> Iterator[Span]:
    """What the window leaves out at both ends, and requests that waited for a load."""
    if run.number < len(run.stage.windows):
        window = run.stage.windows[run.number]
        words = f"left out of the numbers: {window.how}"
        if window.start_s > 0:
            yield Span(run.at_s, run.at_s + window.start_s, "apart", words)
        if window.end_s < run.seconds:
            yield Span(run.at_s + window.end_s, run.at_s + run.seconds, "apart", words)
    for start_s, end_s in _cold(run):
        yield Span(run.at_s + start_s, run.at_s + end_s, "cold", "requests waited for the load")


def _cold(run: _Run) -> list[tuple[float, float]]:
    """On the run's clock, those that overlap as one."""
    found: list[tuple[float, float]] = []
    for request in sorted(run.stage.cold, key=lambda one: one.scheduled_s):
        if request.run == run.number:
            waited_ms = request.ttft_ms if request.ttft_ms is not None else request.e2e_ms
            start_s, end_s = request.scheduled_s, request.scheduled_s + waited_ms / 1000
            if found and start_s <= found[-1][1]:
                before = found.pop()
                start_s, end_s = before[0], max(before[1], end_s)
            found.append((start_s, end_s))
    return found


def _errors(run: _Run) -> Iterator[Tick]:
    columns = run.stage.columns
    for place, error in enumerate(columns.error):
        if error and columns.run[place] == run.number:
            at_s = run.at_s + columns.scheduled_s[place]
            yield Tick(at_s, f"{error}, due at {columns.scheduled_s[place]:.1f} s")


def _blocks(report: Report, runs: Sequence[_Run]) -> Iterator[Block]:
    """A stage's runs lie next to each other."""
    for stage in report.stages:
        own = [run for run in runs if run.stage is stage]
        if own:
            name = load_words(stage.load)
            yield Block(own[0].at_s, own[-1].at_s + own[-1].seconds, name)
