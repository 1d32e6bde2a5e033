"""Cold starts, apart from everything warm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotlight.bench.page.chart.bars import Bar, Part, bars
from pilotlight.bench.page.elements import figure, section, table
from pilotlight.bench.subjects.subject import ColdStart
from pilotlight.bench.words.labels import Labelled
from pilotlight.planner.figures import milliseconds


def cold_starts(shown: Sequence[Labelled]) -> str:
    title = "From nothing to the first token"
    rows = [bar for each in shown if (bar := _bar(each))]
    return section(
        "Cold starts",
        figure(title, bars(title, rows, x_label="seconds"), note=_NOTE),
        table(("who", "due at", "TTFT", "end to end"), _requests(shown),
              "Requests that waited for a load, which no other figure holds"),
    )  # fmt: skip


_NOTE = (
    "Pale is the start of the server; full is from the first request to its first token, the load "
    "of the model in it."
)


def _bar(shown: Labelled) -> Bar | None:
    start = shown.report.subject.cold_start
    if start is None or start.first_token_ms is None:
        return None
    parts = (
        Part("start of the server, s", (start.process_ms or 0.0) / 1000, pale=True),
        Part("first request to first token, s", start.first_token_ms / 1000),
    )
    return Bar(shown.name, shown.look, parts, _words(start))


def _words(start: ColdStart) -> str:
    named = (
        ("server", start.process_ms),
        ("load", start.load_ms),
        ("first token", start.first_token_ms),
    )
    return ", ".join(f"{name} {milliseconds(ms)}" for name, ms in named if ms is not None)


def _requests(shown: Sequence[Labelled]) -> Iterator[tuple[str, ...]]:
    for each in shown:
        for stage in each.report.stages:
            for cold in stage.cold[:_MOST]:
                due = f"{cold.scheduled_s:.1f} s"
                whole = milliseconds(cold.e2e_ms) if cold.error is None else cold.error
                yield each.name, due, milliseconds(cold.ttft_ms), whole


_MOST = 10
"""Of a stage's cold requests: enough to see what they waited."""
