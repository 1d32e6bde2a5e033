"""`pilotlight cost`: the ledger of this data_dir, as a table and as JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from ledger.made import Meter, Time, ledger
from pilotlight.gateway.keys import KeyStore
from pilotlight.meter.ledger.entry import Entry
from pilotlight.meter.ledger.ledger import directory_of

from .conftest import Call

WH_UJ = 3_600_000_000


@pytest.fixture
def data(home: Path) -> Path:
    return home / "data" / "pilotlight"


def written(data: Path, *entries: dict[str, Any], idle_j: float = 0.0) -> None:
    """Entries of this very hour, after so much idle."""
    meter, clock = Meter(), Time()
    kept = ledger(directory_of(data), clock, meter, wall=time.time, usd_per_kwh=0.36)
    clock.now_s = 10.0
    meter.says(10.0, idle_j)
    for fields in entries:
        usual: dict[str, Any] = {
            "at_s": time.time(), "request": "r", "model": "m", "replica": "m-1",
            "operation": "chat", "outcome": "answered", "counted": "engine",
            "prompt_tokens": 10, "completion_tokens": 20, "engine_s": 2.0,
        }  # fmt: skip
        kept.record(Entry(**{**usual, **fields}))
    kept.close()


def test_without_a_ledger_it_says_what_makes_one(call: Call) -> None:
    answer = call("cost")
    assert answer.exit_code == 2
    assert "there is no ledger" in answer.stderr
    assert "pilotlight serve" in answer.stderr


def test_a_table_by_key_with_their_notes(call: Call, data: Path) -> None:
    key, _ = KeyStore(data / "keys.json").create("laptop", "user")
    metered = {"energy_uj": WH_UJ, "load_uj": 0, "energy_source": "measured-rapl"}
    paid = {"cost_picousd": 2 * 10**12, "load_picousd": 0, "cost_basis": "machine"}
    written(data, {"key": key.id, **metered, **paid}, {}, idle_j=3600.0)
    answer = call("cost")
    assert answer.exit_code == 0, answer.stderr
    none, mine = answer.stdout.splitlines()[2:4]
    assert none.split() == ["(none)", "1", "10", "0", "20", "-", "2.0", "s", *["-"] * 5]
    shown = mine.removeprefix(f"{key.id} (laptop)").split()
    assert shown[-5:-2] == ["2", "1", "2"], "one watt-hour of its own and one of idle"
    assert "watt-hours: measured-rapl" in answer.stdout
    assert "watt-hours aren't known of 1 request" in answer.stdout
    assert "dollars aren't known of 1 request: docs/ledger.md" in answer.stdout


def test_dollars_a_token_are_of_those_whose_dollars_are_known(call: Call, data: Path) -> None:
    """Else one request before the meter was open would hide them for a week."""
    paid = {"cost_picousd": 40_000_000, "load_picousd": 0, "cost_basis": "machine"}
    written(data, paid, {"completion_tokens": 1_000_000})
    assert call("cost").stdout.splitlines()[2].split()[-1] == "2", "$0.00004 over 20 tokens"


def test_json_has_every_part(call: Call, data: Path) -> None:
    parts = {
        "energy_uj": 5_000_000, "load_uj": 1_000_000, "energy_source": "measured-rapl",
        "cost_picousd": 10**12, "load_picousd": 10**11, "cost_basis": "machine",
    }  # fmt: skip
    written(data, parts, {"outcome": "cancelled", "counted": "events", **parts}, idle_j=4.0)
    tree = json.loads(call("cost", "--by", "model", "--json").stdout)
    assert tree["by"] == "model"
    [row] = tree["rows"]
    assert (row["name"], row["requests"], row["cancelled"]) == ("m", 2, 1)
    assert (row["completion_tokens"], row["broken_off_tokens"]) == (20, 20)
    assert (row["joules"], row["joules_of_loads"], row["joules_of_idle"]) == (16.0, 2.0, 4.0)
    assert row["usd"] == pytest.approx(2.2 + row["usd_of_idle"])
    assert row["energy_sources"] == tree["idle"]["energy_sources"] == ["measured-rapl"]


def test_unknown_is_null(call: Call, data: Path) -> None:
    written(data, {})
    tree = json.loads(call("cost", "--by", "replica", "--json").stdout)
    [row] = tree["rows"]
    assert row["name"] == "m-1"
    assert [row[name] for name in ("joules", "joules_of_idle", "usd", "usd_of_loads")] == [None] * 4
    assert (tree["idle"]["usd"], tree["idle"]["unpaid_usd"]) == (None, None)


def test_idle_that_nobody_pays_is_said_as_far_as_it_is_known(call: Call, data: Path) -> None:
    clock = Time()
    kept = ledger(directory_of(data), clock, wall=time.time, usd_per_hour=3600.0)
    clock.now_s = 2.0
    kept.close()
    assert "idle on days that nobody used it: 2 USD\n" in call("cost").stdout


@pytest.mark.parametrize("since", ["soon", "0s"])
def test_a_time_that_is_none(call: Call, since: str) -> None:
    answer = call("cost", "--since", since)
    assert answer.exit_code == 2
    assert "--since" in answer.stderr
