"""What runs elsewhere costs its price, and nothing of this machine."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from pilotlight.meter.ledger.database import FILE

from .conftest import Build
from .house import Street, remote_model
from .scripted import Endpoint, delta, stream
from .test_overflow import PRICED, busy, models, release


async def entries(house: Street) -> list[dict[str, Any]]:
    await house.house.close()
    with sqlite3.connect(house.settings.data_dir / "ledger" / FILE) as db:
        db.row_factory = sqlite3.Row
        rows = [dict(row) for row in db.execute("SELECT * FROM requests ORDER BY rowid")]
    db.close()
    return rows


async def test_its_tokens_by_its_price(street: Build, remote: Endpoint) -> None:
    ledger = {"headers": True, "usd_per_hour": 1.0}
    house = await street({"cloud": remote_model(remote.url, **PRICED)}, ledger=ledger)
    answer = await house.client.chat("cloud").done()
    # 9 prompt tokens at 1 $ and 3 of the answer at 4 $ a million.
    assert float(answer.headers["x-pilotlight-usd"]) == pytest.approx(21e-6)
    assert "x-pilotlight-joules" not in answer.headers
    [row] = await entries(house)
    assert (row["cost_picousd"], row["cost_basis"]) == (21_000_000, "price")
    assert (row["prompt_tokens"], row["completion_tokens"]) == (9, 3)
    assert (row["energy_uj"], row["load_uj"], row["load_picousd"]) == (None, None, None)


async def test_without_a_price_dollars_are_unknown(street: Build, remote: Endpoint) -> None:
    house = await street({"cloud": remote_model(remote.url)}, ledger={"usd_per_hour": 1.0})
    await house.client.chat("cloud").done()
    [row] = await entries(house)
    assert (row["cost_picousd"], row["cost_basis"]) == (None, None)


async def test_an_answer_that_broke_off_has_no_known_cost(street: Build, remote: Endpoint) -> None:
    house = await street({"cloud": remote_model(remote.url, **PRICED)})
    remote.behave = stream(delta("hel"), delta("lo"), ended=False)
    await house.client.chat("cloud", stream=True).done()
    [row] = await entries(house)
    assert (row["outcome"], row["counted"]) == ("engine_unreachable", "events")
    assert (row["completion_tokens"], row["prompt_tokens"], row["cost_picousd"]) == (2, None, None)


async def test_an_overflow_is_the_answering_model_s(street: Build, remote: Endpoint) -> None:
    house = await street(models(remote.url))
    held = await busy(house)
    await house.client.chat("local").done()
    release(house)
    await held.done()
    assert [row["model"] for row in await entries(house)] == ["cloud", "local"]
