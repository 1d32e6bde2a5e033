"""Searches over the package's own catalog, as `pilotlight plan` makes them."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from pilotlight.catalog import Catalog, load
from pilotlight.catalog.platform import rentables
from pilotlight.planner.plan import Answer, Plan
from pilotlight.planner.requirements import Limits, Requirements, ServiceLevel
from pilotlight.planner.search import Facts, Search
from pilotlight.planner.traffic import Traffic, steady
from pilotlight.planner.variants import variants


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    return load()


@lru_cache(maxsize=1)
def all_facts() -> Facts:
    known = catalog()
    return Facts(
        gpus=known.gpus,
        cpus=known.cpus,
        rented=rentables(known.platforms, known.offers),
        apis=known.apis,
    )


def facts_of(*offers: str) -> Facts:
    """Nothing to rent but these."""
    known = all_facts()
    assert set(offers) <= {rentable.offer.name for rentable in known.rented}
    return replace(known, rented=tuple(r for r in known.rented if r.offer.name in offers))


def asked(
    requests_per_s: float = 1.0,
    tokens: tuple[int, int] = (512, 128),
    service: ServiceLevel | None = None,
    traffic: Traffic | None = None,
    context: int | None = None,
    mode: Any = "interactive",
    hours_per_day: float = 24.0,
    **limits: Any,
) -> Requirements:
    return Requirements(
        traffic=traffic or steady(requests_per_s, *tokens, hours_per_day),
        service=service or ServiceLevel(ttft_ms=1000, tpot_ms=100, percentile=95),
        context=context,
        mode=mode,
        limits=Limits(**limits),
    )


def search(model: str, facts: Facts | None = None, quantizations: tuple[str, ...] = ()) -> Search:
    row = catalog().models.find(model)
    made = variants(row, catalog().quantizations, quantizations)
    return Search(made, facts or all_facts())


def answer(model: str, question: Requirements, facts: Facts | None = None) -> Answer:
    return search(model, facts).answer(question)


def cheapest(found: Answer) -> Plan:
    assert found.plans, [each.reason for each in found.rejections]
    return min(found.plans, key=lambda plan: plan.money.usd_per_month)
