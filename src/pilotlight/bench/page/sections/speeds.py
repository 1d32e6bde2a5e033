"""Tokens per second as box plots, by engine and quantization."""

from __future__ import annotations

from collections.abc import Sequence

from pilotlight.bench.page.chart.boxes import BoxRow, boxes
from pilotlight.bench.page.elements import figure, section, side_by_side
from pilotlight.bench.report import Stage
from pilotlight.bench.statistics.quantiles import box
from pilotlight.bench.words.figure_rows import load_words
from pilotlight.bench.words.labels import Labelled

_LEAST = 5
"""Fewer samples have no quartiles worth drawing."""


def speeds(shown: Sequence[Labelled]) -> str:
    ordered = sorted(shown, key=_by_engine_and_quantization)
    charts = (_answers(ordered), _server(ordered), _stages(shown))
    return section(
        "Tokens per second",
        side_by_side(*charts),
        note="Box: the middle half, with the median; whiskers: to the furthest sample within 1.5 "
        "box widths; dots: outliers. The figures are quartile, median, quartile.",
    )


def _by_engine_and_quantization(shown: Labelled) -> tuple[str, str, int]:
    subject = shown.report.subject
    return subject.engine or "", subject.quantization or "", shown.look


def _answers(shown: Sequence[Labelled]) -> str:
    rows = [
        row for each in shown if (row := _answer_row(_name(each), each.look, each.report.stage))
    ]
    title = "Of one answer: what one user sees"
    return figure(title, boxes(title, rows, x_label="output tokens/s of one answer"))


def _server(shown: Sequence[Labelled]) -> str:
    rows = []
    for each in shown:
        rates = _rates(each.report.stage)
        if len(rates) >= _LEAST:
            rows.append(BoxRow(_name(each), each.look, box(sorted(rates))))
    title = "Of the whole server, slice of time by slice"
    return figure(title, boxes(title, rows, x_label="output tokens/s"))


def _stages(shown: Sequence[Labelled]) -> str:
    """One report's stages: how an answer slows down as others come beside it."""
    if len(shown) > 1 or len(shown[0].report.stages) < 2:
        return ""
    report = shown[0].report
    rows = [
        row
        for stage in report.stages
        if (row := _answer_row(load_words(stage.load), shown[0].look, stage))
    ]
    title = "Of one answer, by load"
    return figure(title, boxes(title, rows, x_label="output tokens/s of one answer"))


def _answer_row(name: str, look: int, stage: Stage) -> BoxRow | None:
    found = stage.numbers.request_output_tokens_per_s
    return None if found is None or found.box is None else BoxRow(name, look, found.box)


def _name(shown: Labelled) -> str:
    """With engine and quantization, unless its name says them."""
    subject = shown.report.subject
    added = [
        word
        for word in (subject.engine, subject.quantization)
        if word and word.lower() not in shown.name.lower()
    ]
    return ", ".join([shown.name, *added])


def _rates(stage: Stage) -> list[float]:
    slices = stage.slices
    return [
        tokens / slices.seconds
        for tokens, counted in zip(slices.output_tokens, slices.counted, strict=True)
        if counted
    ]
