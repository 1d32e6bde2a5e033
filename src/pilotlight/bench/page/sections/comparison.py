"""Reports against the first of them: ratios with their intervals, and "no difference" by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotlight.bench.compare import Comparison
from pilotlight.bench.page.chart.ratios import Ratio, ratios
from pilotlight.bench.page.elements import figure, folded, items, section, side_by_side, table
from pilotlight.bench.words.comparisons import MAIN_FIGURES, ROW_HEADER, row_cells
from pilotlight.bench.words.labels import Labelled

_Pair = tuple[Labelled, Comparison]


def comparison(shown: Sequence[Labelled]) -> str:
    """Only of loads that both had: anything else isn't a comparison."""
    found = [(each, each.against) for each in shown if isinstance(each.against, Comparison)]
    charts = _by_stage(found[0]) if len(found) == 1 else _by_figure(found)
    return section(
        f"Against {shown[0].name}",
        items(_cautions(shown), "warn"),
        side_by_side(*charts),
        *(_as_table(each) for each in found),
        note=f"Each over {shown[0].name}, with 95 % intervals; where the interval holds 1, there "
        "is no difference to speak of.",
    )


def _cautions(shown: Sequence[Labelled]) -> Iterator[str]:
    for each in shown:
        if isinstance(each.against, Comparison):
            yield from (f"{each.name}: {words}" for words in each.against.cautions)
        elif each.against:
            yield f"{each.name} {each.against}"


def _by_stage(pair: _Pair) -> Iterator[str]:
    """Two reports: all figures, load by load."""
    second, found = pair
    for stage in dict.fromkeys(row.stage for row in found.rows):
        rows = [
            Ratio(row.title, second.look, row.ratio, row.verdict)
            for row in found.rows
            if row.stage == stage and row.ratio
        ]
        yield figure(f"{second.name}, {stage}", _drawn(f"{second.name}, {stage}", rows))


def _by_figure(found: Sequence[_Pair]) -> Iterator[str]:
    """Many reports: the figures that decide, each for all of them."""
    for name in MAIN_FIGURES:
        held = [
            (second, row)
            for second, against in found
            for row in against.rows
            if row.figure == name and row.ratio
        ]
        several = len({row.stage for _, row in held}) > 1
        rows = [
            Ratio(
                f"{second.name}, {row.stage}" if several else second.name, second.look, row.ratio,
                row.verdict,
            )
            for second, row in held
            if row.ratio
        ]  # fmt: skip
        title = held[0][1].title if held else name
        yield figure(title, _drawn(title, rows))


def _drawn(title: str, rows: Sequence[Ratio]) -> str:
    return ratios(f"Ratio of {title}", rows, x_label="ratio", same="the same")


def _as_table(pair: _Pair) -> str:
    second, found = pair
    return folded(f"{second.name} as a table", table(ROW_HEADER, map(row_cells, found.rows)))
