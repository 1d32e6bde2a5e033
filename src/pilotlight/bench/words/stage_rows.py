"""Stages as lines of a table: a report's own, or the chosen ones of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotlight.bench.report import Report, Stage
from pilotlight.bench.words.figure_rows import QUANTITIES, load_words
from pilotlight.bench.words.labels import Labelled

MAIN = tuple(each for each in QUANTITIES if each.main)
_NAMES = tuple(each.name for each in MAIN)

SIDE_HEADER = ("", "engine", "quantization", "load", *_NAMES)
STAGE_HEADER = ("load", "stage", *_NAMES, "verdict")


def side_rows(shown: Sequence[Labelled]) -> Iterator[tuple[str, ...]]:
    """Under `SIDE_HEADER`."""
    for each in shown:
        subject, stage = each.report.subject, each.report.stage
        about = (each.name, subject.engine or "", subject.quantization or "")
        yield (*about, load_words(stage.load), *_figures(stage))


def stage_rows(report: Report) -> Iterator[tuple[str, ...]]:
    """Under `STAGE_HEADER`; a stage that is called as its load needs no name."""
    for stage in report.stages:
        load = load_words(stage.load)
        verdict = stage.stability.verdict if stage.stability else ""
        name = "" if stage.name == load else stage.name
        yield (load, name, *_figures(stage), verdict)


def _figures(stage: Stage) -> tuple[str, ...]:
    return tuple(each.cell(stage) for each in MAIN)
