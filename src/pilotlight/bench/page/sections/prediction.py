"""What a plan said, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotlight.bench.page.chart.ratios import Ratio, ratios
from pilotlight.bench.page.elements import figure, section, table
from pilotlight.bench.words.labels import Labelled
from pilotlight.bench.words.predicted import deviations


def prediction(shown: Sequence[Labelled]) -> str:
    parts = [part for each in shown for part in _of_one(each, named=len(shown) > 1)]
    return section("Predicted against measured", *parts)


def _of_one(shown: Labelled, *, named: bool) -> Iterator[str]:
    predicted = shown.report.predicted
    found = deviations(shown.report)
    if predicted is None or not found:
        return
    title = f"{shown.name}: {predicted.plan}" if named else f"Plan: {predicted.plan}"
    drawing = ratios(
        "Measured over predicted, by figure",
        [Ratio(each.name, shown.look, each.ratio) for each in found],
        x_label="measured over predicted",
        same="as predicted",
    )
    yield figure(title, drawing, note=f"{predicted.source}. {_LINES}".removeprefix(". "))
    lines = ((each.name, each.predicted, each.measured, each.verdict) for each in found)
    yield table(("figure", "predicted", "measured", ""), lines)


_LINES = "The lines are how far the measured figure spreads, not how sure the plan was."
