"""The catalog as a whole: sources, dates, references, service levels, and how fast it is read."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
import yaml

from pilotlight.catalog import Catalog, load
from pilotlight.catalog.age import stale
from pilotlight.catalog.kinds import KINDS
from pilotlight.catalog.references import Broken, broken
from pilotlight.catalog.row import Row

from .conftest import Write

TODAY = date(2026, 11, 20)


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_has_a_source_and_a_date_that_was(kind: str, shipped: Catalog) -> None:
    rows = shipped.tables[kind]
    assert rows
    for row in rows.values():
        assert len(row.source) > 3, row.name
        assert date(2010, 1, 1) < row.as_of <= TODAY, row.name


def test_nothing_shipped_is_stale_on_the_day_of_its_writing(shipped: Catalog) -> None:
    prices = {"platforms", "offers", "apis"}
    assert not [row for row in stale(shipped, TODAY) if row.kind in prices]


def test_prices_grow_old_before_hardware(shipped: Catalog) -> None:
    later = stale(shipped, TODAY + timedelta(days=200))
    kinds = {row.kind for row in later}
    assert {"apis", "offers", "platforms"} <= kinds
    assert "models" not in kinds
    assert all(row.age_days > row.limit_days for row in later)
    assert [row.age_days for row in later] == sorted((r.age_days for r in later), reverse=True)


def test_a_row_of_tomorrow_is_told(write: Write) -> None:
    text = "gpus: {l4: {source: s, as_of: 2027-01-01}}"
    found = [row for row in stale(load([write(text)]), TODAY) if row.age_days < 0]
    assert [(row.kind, row.name) for row in found] == [("gpus", "l4")]


def test_rows_name_rows_that_are_there(shipped: Catalog) -> None:
    assert list(broken(shipped)) == []


def test_a_reference_to_nothing_is_found(write: Write) -> None:
    text = "slos: {mlperf-llama2-70b-server: {model: llama-9, source: s, as_of: 2026-11-19}}"
    found = list(broken(load([write(text)])))
    assert found == [Broken("slos", "mlperf-llama2-70b-server", "model", "llama-9", "models")]


@pytest.mark.parametrize(
    ("model", "server", "interactive"),
    [
        ("llama2-70b", (2000, 200), (450, 40)),
        ("llama3.1-8b", (2000, 100), (500, 30)),
        ("llama3.1-405b", (6000, 175), (4500, 80)),
        ("deepseek-r1", (2000, 80), (1500, 15)),
        ("gpt-oss-120b", (3000, 80), (2000, 15)),
    ],
)
def test_mlperfs_service_levels(
    model: str, server: tuple[int, int], interactive: tuple[int, int], shipped: Catalog
) -> None:
    for scenario, bounds in (("server", server), ("interactive", interactive)):
        level = shipped.slos[f"mlperf-{model}-{scenario}"]
        assert (level.ttft_ms, level.tpot_ms) == bounds
        assert level.percentile == 99


def test_what_is_written_out_is_read_back(write: Write, shipped: Catalog) -> None:
    """Every field of every row goes through the reader again and comes out the same."""
    rows = {
        kind: {name: _fields(row) for name, row in table.items()}
        for kind, table in shipped.tables.items()
    }
    again = load([write(yaml.safe_dump(rows))])
    for kind, table in shipped.tables.items():
        assert dict(again.tables[kind]) == dict(table)


def _fields(row: Row) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(row)
    del fields["name"]
    return fields


def test_presets_people_ask_for(shipped: Catalog) -> None:
    assert (shipped.slos["chat"].ttft_ms, shipped.slos["chat"].tpot_ms) == (200, 50)
    code = shipped.slos["code-completion"]
    assert (code.ttft_ms, code.tpot_ms) == (500, 150)
    batch = shipped.slos["batch"]
    assert (batch.ttft_ms, batch.tpot_ms, batch.interactive) == (None, None, False)
