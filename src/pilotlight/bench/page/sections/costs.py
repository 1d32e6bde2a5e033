"""Dollars: every way to pay for these tokens, with hosted APIs beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pilotlight.bench.page.chart.bars import Bar, Part, bars
from pilotlight.bench.page.chart.drawing import LOOKS
from pilotlight.bench.page.elements import definitions, figure, folded, items, section, table
from pilotlight.bench.words.cost_rows import (
    COST_HEADER,
    PricedWay,
    cost_notes,
    cost_rows,
    priced_ways,
    turns,
    way_name,
)
from pilotlight.bench.words.labels import Labelled
from pilotlight.planner.figures import dollars

MOST_BARS = 24
"""The rest stand in the table."""

_GREY = LOOKS - 1
"""An API's price is nobody's that is measured here."""


def costs(shown: Sequence[Labelled]) -> str:
    title = "Dollars for a million output tokens, prompts in it"
    ways = priced_ways(shown)
    rows = [bar for way in ways if (bar := _bar(way, named=len(shown) > 1))]
    return section(
        "Cost",
        figure(title, bars(title, rows[:MOST_BARS], x_label="$ per million output tokens")),
        table(COST_HEADER, cost_rows(shown)),
        items(turn.text for each in shown for turn in turns(each)),
        items(cost_notes(shown)),
        folded("The arithmetic", definitions(_arithmetic(ways, named=len(shown) > 1))),
        note="Dashed is what a hosted API takes for the same tokens.",
    )


def _bar(way: PricedWay, *, named: bool) -> Bar | None:
    usd = way.cost.usd_per_output_mtok
    if usd is None:
        return None
    api = way.cost.kind == "api"
    return Bar(
        way_name(way, named=named), _GREY if api else way.shown.look,
        (Part("dollars", usd),), dollars(usd),
        hollow=api,
    )  # fmt: skip


def _arithmetic(ways: Sequence[PricedWay], *, named: bool) -> Iterator[tuple[str, str]]:
    for way in ways:
        yield way_name(way, named=named), "; ".join(way.cost.arithmetic)
