"""docs/metrics.md against what a scrape of a working house shows."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from .blocks import blocks, read, tables
from .house import MODEL, chat, served

PAGE = "docs/metrics.md"

Shape = tuple[str, frozenset[str]]
"""Type and labels."""


def documented() -> dict[str, Shape]:
    rows = [row for table in tables(read(PAGE)) for row in table]
    assert all(row[3] for row in rows), "every metric has a meaning"
    return {row[0].strip("`"): (row[1], _labels(row[2])) for row in rows}


def _labels(cell: str) -> frozenset[str]:
    return frozenset(re.findall(r"`([^`]+)`", cell))


def shown(scrape: str) -> dict[str, Shape]:
    found: dict[str, Shape] = {}
    for family in text_string_to_metric_families(scrape):
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = (family.type, frozenset(labels))
    return found


async def test_every_metric_with_its_type_and_labels(tmp_path: Path) -> None:
    async with served(tmp_path) as (house, client):
        await client.post("/v1/chat/completions", json=chat(stream=True))
        # Some that only misfortune counts; what leads to them is tested with the gateway.
        house.metrics.cancelled.labels(MODEL).inc()
        house.metrics.broken.labels(MODEL).inc()
        house.metrics.leaving(MODEL, "evicted for another")
        house.metrics.overflows.labels(MODEL, "another").inc()
        house.metrics.overflow_usd.labels(MODEL, "another").inc()
        await house.books.close()  # else the ledger's thread may not have seen the request yet
        scrape = (await client.get("/metrics")).text
        there = {name: shape for name, shape in shown(scrape).items() if "_created" not in name}
        assert documented() == there


def test_the_example_queries_ask_for_metrics_that_exist() -> None:
    [queries] = [block.text for block in blocks(PAGE) if block.language == "promql"]
    asked = set(re.findall(r"pilotlight_\w+", queries))
    assert asked
    assert {name.removesuffix("_bucket") for name in asked} <= set(documented())
