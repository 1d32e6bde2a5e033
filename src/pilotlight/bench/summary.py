"""A report as plain text, for a terminal once the run is over."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from pilotlight.bench.compare import Comparison
from pilotlight.bench.report import Report, Stage
from pilotlight.bench.told import machine_words, quality_words, slo_words
from pilotlight.bench.words.cautions import all_cautions
from pilotlight.bench.words.comparisons import MAIN_HEADER, ROW_HEADER, main_rows, row_cells
from pilotlight.bench.words.cost_rows import COST_HEADER, cost_rows
from pilotlight.bench.words.figure_rows import load_words, rows
from pilotlight.bench.words.labels import Labelled, labelled
from pilotlight.bench.words.predicted import deviations
from pilotlight.bench.words.stage_rows import SIDE_HEADER, STAGE_HEADER, side_rows, stage_rows
from pilotlight.bench.words.text_table import printable, text_table

_NARROW = {
    "goodput, requests/s": "goodput/s", "output tokens/s": "out tok/s", "total tokens/s": "tok/s",
    "requests/s": "req/s", "kept the SLO": "in SLO", "J per output token": "J/token",
    "end to end p50": "e2e p50", "end to end p95": "e2e p95",
}  # fmt: skip
_DISPENSABLE = ("e2e p50", "tok/s", "e2e p95", "TPOT p50", "TTFT p50", "req/s", "J/token")
"""Where a terminal is too narrow for all; the page has them."""


def summary(reports: Sequence[Report], width: int = 100, *, rounds: bool = False) -> str:
    """Of one report, or of several against the first; a narrow table says what it left out."""
    shown = labelled(reports, rounds=rounds)
    parts = [*(_one(shown[0], width) if len(shown) == 1 else _several(shown, width))]
    parts += [_costs(shown, width), _warned(shown, width)]
    text = "\n\n".join(filter(None, parts))
    return "\n".join(map(printable, text.split("\n")))


def _one(shown: Labelled, width: int) -> Iterator[str]:
    report = shown.report
    yield "\n".join(filter(None, (_head(shown), slo_words(report.slo), machine_words(report))))
    if len(report.stages) > 1:
        yield _stages(report, width)
    stage = report.stage
    lines = ((row.name, row.value, row.bounds) for row in rows(stage))
    yield f"At {load_words(stage.load)}, {_counts(stage)}:\n" + text_table((), lines)
    if found := deviations(report):
        lines_of = ((d.name, d.predicted, d.measured, d.verdict) for d in found)
        yield text_table(("", "predicted", "measured", ""), lines_of)
    if words := quality_words(report):
        yield f"Quality {words}"


def _several(shown: Sequence[Labelled], width: int) -> Iterator[str]:
    yield text_table(
        _narrow(SIDE_HEADER),
        side_rows(shown),
        width=width,
        dispensable=("engine", "quantization", *_DISPENSABLE),
    )
    yield from _compared(shown, width)
    yield "\n".join(
        f"{each.name}: quality {words}" for each in shown if (words := quality_words(each.report))
    )


def _compared(shown: Sequence[Labelled], width: int) -> Iterator[str]:
    """Two in full; of more, the figures that decide."""
    held = [(each, each.against) for each in shown if isinstance(each.against, Comparison)]
    first = shown[0].name
    if len(held) == 1 and len(shown) == 2:
        second, found = held[0]
        table = text_table(
            ROW_HEADER, map(row_cells, found.rows), width=width, dispensable=("second", "first")
        )
        yield f"{second.name} against {first}\n{table}"
    elif held:
        lines = ((each.name, *cells) for each, found in held for cells in main_rows(found))
        yield f"Against {first}\n{text_table(MAIN_HEADER, lines)}"
    yield "\n".join(
        [f"! {each.name}: {words}" for each, found in held for words in found.cautions]
        + [f"! {each.name} {each.against}" for each in shown if isinstance(each.against, str)]
    )


def _head(shown: Labelled) -> str:
    subject = shown.report.subject
    told = (shown.name, subject.engine, subject.quantization, subject.build)
    return " · ".join(dict.fromkeys(filter(None, told)))


def _counts(stage: Stage) -> str:
    left = stage.excluded
    words = f"{stage.numbers.requests:,} requests in {stage.runs} run{'s'[: stage.runs > 1]}"
    out = left.warmup + left.cold + left.before_window + left.after_window
    return f"{words}, {out:,} left out (warm-up, cold, outside the window)" if out else words


def _stages(report: Report, width: int) -> str:
    """An arrow points at the chosen one."""
    lines = (
        ("→" if at == report.chosen else "", *line) for at, line in enumerate(stage_rows(report))
    )
    header = ("", *_narrow(STAGE_HEADER))
    return text_table(header, lines, width=width, dispensable=_DISPENSABLE)


def _narrow(header: Sequence[str]) -> tuple[str, ...]:
    return tuple(_NARROW.get(name, name) for name in header)


def _costs(shown: Sequence[Labelled], width: int) -> str:
    return text_table(
        COST_HEADER, cost_rows(shown), width=width, dispensable=("source", "$/1,000 requests")
    )


def _warned(shown: Sequence[Labelled], width: int) -> str:
    return "\n".join(
        textwrap.fill(words, width, initial_indent="! ", subsequent_indent="  ")
        for words in all_cautions(shown)
    )
