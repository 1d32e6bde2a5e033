"""Every request in the ledger, through the public edge: tokens, seconds, joules and dollars."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass
from typing import Any

import pytest

from pilotlight.config import LedgerSettings
from pilotlight.core import Usage
from pilotlight.errors import ConfigError
from pilotlight.gateway.account import Account
from pilotlight.gateway.counted import tokens_of
from pilotlight.gateway.electricity import Electricity
from pilotlight.gateway.keys import KeyStore
from pilotlight.meter.ledger.database import FILE
from pilotlight.metrics import EnergySource

from .asgi import turn
from .conftest import Build
from .house import Street

WATTS = 50.0


@dataclass
class Drawing:
    """A machine that draws 50 W, by its meter, on the house's own clock."""

    street: Street

    @property
    def at_s(self) -> float:
        return self.street.clock.now()

    @property
    def gross_j(self) -> float:
        return WATTS * self.street.clock.now()

    source: EnergySource = "measured-rapl"


async def entries(s: Street) -> list[dict[str, Any]]:
    """All rows, by their columns, once the house is closed."""
    await s.house.close()
    with sqlite3.connect(s.settings.data_dir / "ledger" / FILE) as db:
        db.row_factory = sqlite3.Row
        rows = [dict(row) for row in db.execute("SELECT * FROM requests ORDER BY at_s")]
    db.close()
    return rows


async def entry(s: Street) -> dict[str, Any]:
    [row] = await entries(s)
    return row


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_with_the_engines_own_count(street: Build, stream: bool) -> None:
    s = await street({"m": {"options": {"words": 6}}})
    answer = await s.client.chat(stream=stream).done()
    row = await entry(s)
    assert (row["outcome"], row["counted"], row["operation"]) == ("answered", "engine", "chat")
    assert (row["model"], row["replica"], row["adapter"], row["key"]) == ("m", "m-1", "", "")
    assert row["completion_tokens"] == 6
    assert row["prompt_tokens"] > 0
    assert row["request"] == answer.headers["x-request-id"]


async def test_it_is_written_before_the_last_byte_goes_out(street: Build) -> None:
    s = await street()
    call = s.client.chat(stream=True)
    written: list[bool] = []

    async def deliver(message: Any) -> None:
        if message["type"] == "http.response.body" and not message["more_body"]:
            journal = s.settings.data_dir / "ledger" / "journal"
            lines = b"".join(path.read_bytes() for path in journal.iterdir())
            written.append(b'"answered"' in lines)

    call.block(deliver)
    await call.done()
    assert written == [True]


async def test_whose_key_it_was_and_which_adapter(street: Build) -> None:
    models = {"m": {"options": {"lora": "live"}, "adapters": {"a": "fake:a"}}}
    s = await street(models)
    key, text = KeyStore(s.settings.data_dir / "keys.json").create("me", "user")
    body = {"model": "m:a", "messages": [{"role": "user", "content": "hello"}]}
    answer = await s.client.post("/v1/chat/completions", body, {"authorization": f"Bearer {text}"})
    assert answer.status == 200
    row = await entry(s)
    assert (row["key"], row["model"], row["adapter"]) == (key.id, "m", "a")


async def test_a_client_that_left_is_counted_by_the_events_it_could_have(street: Build) -> None:
    s = await street({"m": {"options": {"words": 9, "token_delay_ms": 1000}}})
    call = s.client.chat(stream=True)
    await turn()
    await s.clock.run_for(4.5)  # the load's canary has a token, too
    call.leave()
    await call.done()
    row = await entry(s)
    assert (row["outcome"], row["counted"]) == ("cancelled", "events")
    assert row["completion_tokens"] == 3
    assert row["prompt_tokens"] is None
    assert row["engine_s"] == pytest.approx(3.5)


@pytest.mark.parametrize("usage", [Usage(2**63, 1), Usage(3, 10**30), Usage(3, 1, 2**64)])
def test_a_count_that_no_engine_can_have_made_is_none(usage: Usage) -> None:
    account = Account(usage=usage, first_byte_s=1.0)
    assert tokens_of(None, account, whole=True).prompt is None


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_an_event_that_comes_in_parts_is_one(end: bytes) -> None:
    account = Account()
    event = b'data: {"choices":[{"delta":{"content":"hi"}}]}' + end
    for part in (event[:10], event[10:-9], event[-9:], event * 2 + event[:5], event[5:]):
        account.saw(part, 1.0)
    assert account.events == 4


async def test_a_client_that_left_before_a_byte_has_no_count(street: Build) -> None:
    s = await street({"m": {"options": {"token_delay_ms": 1000}}})
    call = s.client.chat()
    await turn()
    await s.clock.run_for(2)
    call.leave()
    await call.done()
    row = await entry(s)
    assert (row["outcome"], row["counted"], row["completion_tokens"]) == ("cancelled", None, None)


async def test_an_engine_that_ended_midway(street: Build) -> None:
    s = await street({"m": {"options": {"words": 9, "crash_after": 4}}})
    await s.client.chat(stream=True).done()
    row = await entry(s)
    assert (row["outcome"], row["counted"]) == ("engine_crashed", "events")
    assert row["completion_tokens"] == 4


async def test_what_the_engine_refused_took_its_time_and_no_tokens(street: Build) -> None:
    s = await street({"m": {"options": {"context": 8}}})
    answer = await s.client.chat(text="far too long " * 20).done()
    assert answer.status == 400
    row = await entry(s)
    assert (row["outcome"], row["counted"]) == ("context_length_exceeded", None)


async def test_who_only_queued_took_nothing(street: Build) -> None:
    s = await street({"m": {"options": {"parallel": 1, "token_delay_ms": 1000, "words": 3}}})
    first = s.client.chat()
    await turn()
    await s.clock.run_for(1.5)
    second = s.client.chat()
    await turn()
    second.leave()
    await second.done()
    await s.clock.run_for(4)
    await first.done()
    assert [row["outcome"] for row in await entries(s)] == ["answered"]


async def test_who_left_while_the_model_loaded_pays_until_then(street: Build) -> None:
    s = await street({"m": {"options": {"load_delay_ms": 10_000}}}, power=Drawing)
    call = s.client.chat()
    await turn()
    await s.clock.run_for(4)
    call.leave()
    await call.done()
    row = await entry(s)
    assert (row["outcome"], row["replica"], row["engine_s"]) == ("cancelled", "", 0.0)
    assert (row["load_uj"], row["energy_uj"]) == (round(4 * WATTS * 1e6), 0)


async def test_a_load_is_paid_by_those_who_wait_for_it(street: Build) -> None:
    options = {"load_delay_ms": 10_000, "token_delay_ms": 1000, "words": 4, "parallel": 2}
    s = await street({"m": {"options": options}}, power=Drawing)
    calls = [s.client.chat(), s.client.chat(stream=True)]
    await turn()
    await s.clock.run_for(30)
    for call in calls:
        await call.done()
    rows = await entries(s)
    # The canary's one token is the load's last second; then both run for four seconds together.
    assert [row["load_uj"] for row in rows] == [round(5.5 * WATTS * 1e6)] * 2
    assert sum(row["energy_uj"] for row in rows) == pytest.approx(4 * WATTS * 1e6)
    assert {row["energy_source"] for row in rows} == {"measured-rapl"}
    assert [row["queue_s"] is not None for row in rows] == [True, True]


async def test_waiting_for_a_slot_costs_nothing(street: Build) -> None:
    options = {"parallel": 1, "token_delay_ms": 1000, "words": 2}
    s = await street({"m": {"options": options}}, power=Drawing)
    warm = s.client.chat()
    await turn()
    await s.clock.run_for(4)
    await warm.done()
    calls = [s.client.chat(), s.client.chat()]
    await turn()
    await s.clock.run_for(10)
    for call in calls:
        await call.done()
    _, first, second = await entries(s)
    assert first["energy_uj"] == second["energy_uj"] == pytest.approx(2 * WATTS * 1e6)
    assert second["load_uj"] == 0


async def test_headers_say_it_where_asked_for(street: Build) -> None:
    ledger = {"headers": True, "usd_per_hour": 3.6, "usd_per_kwh": 0.36}
    s = await street(
        {"m": {"options": {"token_delay_ms": 1000, "words": 2}}}, power=Drawing, ledger=ledger
    )
    call = s.client.chat()
    await turn()
    await s.clock.run_for(10)
    headers = (await call.done()).headers
    # One second of the load's canary, two of its own.
    assert float(headers["x-pilotlight-joules"]) == pytest.approx(3 * WATTS)
    assert headers["x-pilotlight-energy-source"] == "measured-rapl"
    assert float(headers["x-pilotlight-usd"]) == pytest.approx(3e-3 + 150e-7)
    row = await entry(s)
    assert row["cost_basis"] == "machine"
    assert row["cost_picousd"] + row["load_picousd"] == pytest.approx((3e-3 + 150e-7) * 1e12)


async def test_no_headers_unless_asked_for(street: Build) -> None:
    s = await street(power=Drawing)
    headers = (await s.client.chat().done()).headers
    assert not [name for name in headers if "joules" in name or "usd" in name]


async def test_without_a_meter_and_prices_nothing_is_made_up(street: Build) -> None:
    s = await street(ledger={"headers": True})
    headers = (await s.client.chat().done()).headers
    assert not [name for name in headers if "joules" in name or "usd" in name]
    row = await entry(s)
    assert [row[name] for name in ("energy_uj", "load_uj", "cost_picousd", "cost_basis")] == [
        None
    ] * 4


async def test_switched_off_there_is_none(street: Build) -> None:
    s = await street(ledger={"enabled": False})
    assert (await s.client.chat().done()).status == 200
    await s.house.close()
    assert not (s.settings.data_dir / "ledger").exists()


async def test_prometheus_has_the_same_sums(street: Build) -> None:
    s = await street({"m": {"options": {"words": 6}}}, power=Drawing)
    for _ in range(3):
        await s.client.chat().done()
    books = s.house.books
    await books.close()  # the ledger's thread has seen all
    labels = {"model": "m", "key": ""}
    assert await s.metric("pilotlight_spent_tokens_total", kind="completion", **labels) == 18
    assert await s.metric("pilotlight_ledger_refused") == 0
    text = (await s.client.get("/metrics")).body.decode()
    assert "\npilotlight_idle_usd_total " not in text, "nobody said what it costs"


async def test_sums_are_what_engines_said_whoever_left(street: Build) -> None:
    """Whole answers by their own usage, broken ones by what came of them, each once."""
    draw = random.Random(6)
    options = {"token_delay_ms": 10, "parallel": 8}
    s = await street({"m": {"min": 1, "options": options}})
    said, left, calls = 0, 0, []
    for _ in range(300):
        most = draw.randint(1, 9)
        fields = {"stream": True, "stream_options": {"include_usage": True}, "ignore_eos": True}
        calls.append(s.client.chat(text=f"hello {draw.random()}", max_tokens=most, **fields))
        await s.clock.run_for(draw.choice((0.0, 0.01, 0.02)))
        if draw.random() < 0.3:
            draw.choice(calls[-8:]).leave()
    await s.clock.run_for(100)
    for call in calls:
        await call.done()
        usage = [e["usage"] for e in call.events if isinstance(e, dict) and e.get("usage")]
        said += usage[0]["completion_tokens"] if usage else 0
        left += 0 if usage else len(call.text.split())
    rows = await entries(s)
    assert len({row["request"] for row in rows}) == len(rows)
    told = [row["completion_tokens"] for row in rows if row["counted"] == "engine"]
    events = [row["completion_tokens"] for row in rows if row["counted"] == "events"]
    assert len(events) > 30
    assert (sum(told), sum(events)) == (said, left)


async def test_a_house_that_nobody_asks_says_that_it_was_idle(street: Build) -> None:
    s = await street(power=Drawing)
    s.house.books.begin()
    await s.clock.run_for(130)
    await entries(s)
    with sqlite3.connect(s.settings.data_dir / "ledger" / FILE) as db:
        rows = db.execute("SELECT source, sum(seconds_ms), sum(energy_uj) FROM idle").fetchall()
    db.close()
    assert rows == [("measured-rapl", 130_000, round(130 * WATTS * 1e6))]


async def test_a_ledger_that_can_t_be_kept_is_said_before_anything_is_served(
    street: Build,
) -> None:
    s = await street()
    (s.settings.data_dir / "ledger").write_text("in the way")
    with pytest.raises(ConfigError, match="can't use the ledger"):
        s.house.books.begin()
    (s.settings.data_dir / "ledger").unlink()


def test_electricity_is_unknown_where_no_meter_is_wanted() -> None:
    electricity = Electricity(LedgerSettings(meter=False))
    electricity.begin()
    assert electricity.total().gross_j is None
    electricity.close()


def test_a_driver_s_trouble_is_no_reason_not_to_serve(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**given: Any) -> Any:
        raise OSError("the driver is of another version")

    monkeypatch.setattr("pilotlight.meter.registry.meter_here", broken)
    electricity = Electricity(LedgerSettings())
    electricity.begin()
    electricity.close()
    assert electricity.total().gross_j is None
    assert "can't be metered" in caplog.text


def test_this_machine_s_meter_opens_and_closes() -> None:
    electricity = Electricity(LedgerSettings(rated_w=100.0))
    electricity.begin()
    electricity.close()
    assert electricity.total().source is not None
