"""The short answer: the chosen stage's figures, or every report's in one table."""

from __future__ import annotations

from collections.abc import Sequence

from pilotlight.bench.page.elements import cards, folded, items, section, table
from pilotlight.bench.words.cautions import all_cautions
from pilotlight.bench.words.figure_rows import load_words, rows
from pilotlight.bench.words.labels import Labelled
from pilotlight.bench.words.stage_rows import SIDE_HEADER, STAGE_HEADER, side_rows, stage_rows

_INTERVALS = "Bounds are 95 % intervals of repeated sampling, unless they are said to be quartiles."


def answer(shown: Sequence[Labelled]) -> str:
    return _warned(shown) + (_one(shown[0]) if len(shown) == 1 else _several(shown))


def stages(shown: Sequence[Labelled]) -> str:
    """Every stage of every report that has several."""
    tables = [
        table(STAGE_HEADER, stage_rows(each.report), each.name)
        for each in shown
        if len(each.report.stages) > 1
    ]
    return section("Every stage", *tables)


def _warned(shown: Sequence[Labelled]) -> str:
    """Named where there are several; a long list shows its first and folds the rest."""
    found = all_cautions(shown)
    more = folded(f"{len(found) - _SHOWN} more", items(found[_SHOWN:], "warn"))
    return items(found[:_SHOWN], "warn") + more


_SHOWN = 6


def _one(shown: Labelled) -> str:
    stage = shown.report.stage
    large = [(row.name, row.value, row.bounds) for row in rows(stage, main=True)]
    every = [(row.name, row.whole) for row in rows(stage)]
    return section(
        f"At {load_words(stage.load)}",
        cards(large),
        folded("All figures", table(("figure", "value"), every)),
        note=_INTERVALS,
    )


def _several(shown: Sequence[Labelled]) -> str:
    return section("Side by side", table(SIDE_HEADER, side_rows(shown)), note=_INTERVALS)
