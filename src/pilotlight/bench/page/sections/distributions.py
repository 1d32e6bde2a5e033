"""How many requests were done by when: the whole of what percentiles are read from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pilotlight.bench.page.chart.drawing import LOOKS
from pilotlight.bench.page.chart.lines import Limit
from pilotlight.bench.page.chart.steps import Curve, steps
from pilotlight.bench.page.durations import unit
from pilotlight.bench.page.elements import figure, section, side_by_side
from pilotlight.bench.report import Stage
from pilotlight.bench.slo import Slo
from pilotlight.bench.words.figure_rows import load_words
from pilotlight.bench.words.labels import Labelled
from pilotlight.planner.figures import milliseconds

_COLUMNS = (("TTFT", "ttft_ms"), ("TPOT", "tpot_ms"), ("End to end", "e2e_ms"))


@dataclass(frozen=True, slots=True)
class _Drawn:
    name: str
    look: int
    stage: Stage


def distributions(shown: Sequence[Labelled]) -> str:
    drawn, left = _drawn(shown)
    slo = next((each.report.slo for each in shown if each.report.slo), None)
    charts = [_chart(drawn, slo, title, name) for title, name in _COLUMNS]
    note = f"{left} more are in the tables, not in the curves." if left else ""
    return section("Distributions", side_by_side(*charts), note=note)


def _drawn(shown: Sequence[Labelled]) -> tuple[list[_Drawn], int]:
    """Of several reports the chosen stage each; of one its stages: as many as have a colour."""
    if len(shown) > 1:
        found = [_Drawn(each.name, each.look, each.report.stage) for each in shown]
    else:
        stages = shown[0].report.stages
        found = [_Drawn(load_words(stage.load), at, stage) for at, stage in enumerate(stages)]
    found = [each for each in found if len(each.stage.columns)]
    if len(found) <= LOOKS:
        return found, 0
    spread = [found[round(at * (len(found) - 1) / (LOOKS - 1))] for at in range(LOOKS)]
    return spread, len(found) - LOOKS


def _chart(drawn: Sequence[_Drawn], slo: Slo | None, title: str, name: str) -> str:
    counted = [(each, tuple(_counted(each.stage, name))) for each in drawn]
    axis = unit(value for _, values in counted for value in values)
    curves = [Curve(each.name, each.look, tuple(map(axis.of, values))) for each, values in counted]
    bound: float | None = getattr(slo, name) if slo else None
    limit = Limit(axis.of(bound), f"SLO {milliseconds(bound)}") if bound is not None else None
    words = f"{title}: share of requests done by a time"
    drawing = steps(words, curves, x_label=f"{title}, {axis.name}", limit=limit)
    return figure(title, drawing)


def _counted(stage: Stage, name: str) -> Iterator[float]:
    columns = stage.columns
    cells = zip(getattr(columns, name), columns.counted, columns.error, strict=True)
    return (value for value, counted, error in cells if counted and not error and value is not None)
