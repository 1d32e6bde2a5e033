"""What tokens cost, way by way: the measured ones of each report, hosted APIs once for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pilotlight.bench.costs import Cost, Turn
from pilotlight.bench.words.labels import Labelled
from pilotlight.planner.figures import dollars

COST_HEADER = (
    "paid as", "$/1M output tokens", "$/1M tokens", "$/1,000 requests", "$/month at this load",
    "source",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PricedWay:
    """`shown` is whose answers it prices."""

    shown: Labelled
    cost: Cost

    @property
    def name(self) -> str:
        return self.cost.title


def priced_ways(shown: Sequence[Labelled]) -> tuple[PricedWay, ...]:
    """Own ways report by report; then those of APIs, each as the first report's tokens have it."""
    own = [PricedWay(each, cost) for each in shown for cost in _ways(each) if cost.kind != "api"]
    apis: dict[str, PricedWay] = {}
    for each in shown:
        for cost in _ways(each):
            if cost.kind == "api":
                apis.setdefault(cost.name, PricedWay(each, cost))
    return (*own, *apis.values())


def cost_rows(shown: Sequence[Labelled]) -> Iterator[tuple[str, ...]]:
    for way in priced_ways(shown):
        cost = way.cost
        yield (
            way_name(way, named=len(shown) > 1), dollars(cost.usd_per_output_mtok),
            dollars(cost.usd_per_total_mtok), dollars(_thousandfold(cost.usd_per_request)),
            dollars(cost.usd_per_month), _dated(cost),
        )  # fmt: skip


def way_name(way: PricedWay, *, named: bool) -> str:
    """With the report it is of, where there are several; an API's price is nobody's own."""
    return f"{way.shown.name}: {way.name}" if named and way.cost.kind != "api" else way.name


def cost_notes(shown: Sequence[Labelled]) -> Iterator[str]:
    """What must be known of a way, once for all that share it; then what wasn't priced."""
    notes: dict[str, list[str]] = {}
    for way in priced_ways(shown):
        if way.cost.note:
            notes.setdefault(way.cost.note, []).append(way_name(way, named=len(shown) > 1))
    yield from (f"{', '.join(names)}: {note}" for note, names in notes.items())
    held = (each.report.stage.costs for each in shown)
    yield from dict.fromkeys(note for found in held if found for note in found.notes)


def _dated(cost: Cost) -> str:
    return ", ".join(filter(None, (cost.source, cost.as_of)))


def _thousandfold(usd: float | None) -> float | None:
    return None if usd is None else usd * 1000


def turns(shown: Labelled) -> tuple[Turn, ...]:
    found = shown.report.stage.costs
    return found.turns if found else ()


def _ways(shown: Labelled) -> tuple[Cost, ...]:
    found = shown.report.stage.costs
    return found.ways if found else ()
