"""The day's spending: never over the limit, whatever overlaps, restarts or breaks."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from pilotlight.core import Operation, Price, Usage
from pilotlight.gateway.overflow import View, cost, costs_by_the_token, most_usage, overflows
from pilotlight.gateway.spending import PICO, Reservation, Spending, dollars, picodollars

LIMIT = 1000
DAYS = ("2026-11-20", "2026-11-21", "2026-11-22")
AMOUNTS = st.integers(0, 400)


class Interleavings(RuleBasedStateMachine):
    """Requests of two gateways on one file: reserved, settled, forgotten, in any order."""

    reservations = Bundle("reservations")

    def __init__(self) -> None:
        super().__init__()
        self._directory = TemporaryDirectory()
        self._path = Path(self._directory.name) / "overflow.json"
        self._day = 0
        self._gateways = [self._make(), self._make()]
        self._true_cost = dict.fromkeys(DAYS, 0)
        """What was really billed, by the day of the request."""

        self._open = dict.fromkeys(DAYS, 0)
        """What requests under way may still be billed for."""

    def _make(self) -> Spending:
        return Spending(self._path, lambda: DAYS[self._day])

    @rule(target=reservations, which=st.integers(0, 1), amount=AMOUNTS)
    def reserve(self, which: int, amount: int) -> Reservation | None:
        made = self._gateways[which].reserve("m", amount, LIMIT)
        day = DAYS[self._day]
        fits = self._true_cost[day] + self._open[day] + amount <= LIMIT
        assert (made is not None) == fits, "as much as fits, and no more"
        if made is not None:
            self._open[made.day] += amount
        return made

    @rule(it=consumes(reservations), which=st.integers(0, 1), part=st.floats(0, 1))
    def settle(self, it: Reservation | None, which: int, part: float) -> None:
        if it is None:
            return
        actual = int(it.amount * part)
        self._gateways[which].settle(it, actual)
        self._open[it.day] -= it.amount
        self._true_cost[it.day] += actual

    @rule(which=st.integers(0, 1))
    def restart(self, which: int) -> None:
        self._gateways[which] = self._make()

    @rule()
    def midnight(self) -> None:
        self._day = min(self._day + 1, len(DAYS) - 1)

    @invariant()
    def no_day_costs_more_than_its_limit(self) -> None:
        assert all(self._true_cost[day] + self._open[day] <= LIMIT for day in DAYS)

    @invariant()
    def the_file_knows(self) -> None:
        day = DAYS[self._day]
        assert self._gateways[0].spent("m") == self._true_cost[day] + self._open[day]

    def teardown(self) -> None:
        self._directory.cleanup()


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_what_one_model_spends_is_not_anothers(tmp_path: Path) -> None:
    spending = Spending(tmp_path / "overflow.json")
    assert spending.reserve("a", 900, LIMIT)
    assert spending.reserve("a", 101, LIMIT) is None
    assert spending.reserve("b", 1000, LIMIT)


def test_a_clock_set_back_does_not_open_the_purse_again(tmp_path: Path) -> None:
    today = [DAYS[1]]
    spending = Spending(tmp_path / "overflow.json", lambda: today[0])
    assert spending.reserve("m", LIMIT, LIMIT)
    today[0] = DAYS[0]
    assert spending.reserve("m", 1, LIMIT) is None


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"day": "2026-11-20"}', '{"day": "x", "spent_picousd": {}}',
     '{"day": "2026-11-20", "spent_picousd": {"m": -5}}',
     '{"day": "2026-11-20", "spent_picousd": {"m": "much"}}'],
)  # fmt: skip
def test_a_broken_file_keeps_money_in(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "overflow.json"
    path.write_text(content)
    assert Spending(path).reserve("m", 1, LIMIT) is None
    assert "mend or remove the file" in caplog.text
    assert path.read_text() == content


def test_a_bill_over_its_reservation_is_booked_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spending = Spending(tmp_path / "overflow.json")
    reservation = spending.reserve("m", 10, LIMIT)
    assert reservation is not None
    spending.settle(reservation, 1500)
    assert spending.spent("m") == 1500
    assert spending.reserve("m", 0, LIMIT) is None
    assert "more than" in caplog.text


def test_the_file_says_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "overflow.json"
    Spending(path, lambda: DAYS[0]).reserve("m", 7, LIMIT)
    assert json.loads(path.read_text()) == {
        "version": 1,
        "day": DAYS[0],
        "spent_picousd": {"m": 7},
    }


@pytest.mark.parametrize(
    ("usd", "amount"), [(0.0, 0), (1.0, PICO), (0.1, PICO // 10), (0.075, 75 * 10**9), (1e-13, 1)]
)
def test_dollars_are_exact_and_rounded_up(usd: float, amount: int) -> None:
    assert picodollars(usd) == amount
    assert dollars(PICO) == 1.0


def test_the_cost_of_tokens() -> None:
    price = Price(1.0, 4.0, 0.25)
    assert cost(price, Usage(1_000_000, 0)) == PICO
    assert cost(price, Usage(1_000_000, 500_000, 400_000)) == round(2.7 * PICO)
    assert cost(Price(1.0, 4.0), Usage(10, 0, 4)) == 10 * PICO // 10**6


def most(operation: Operation, body: bytes, context: int = 1000) -> Usage:
    return most_usage(operation, body, context)


@pytest.mark.parametrize(
    ("operation", "body", "expected"),
    [
        (Operation.CHAT, b'{"max_tokens":5,"messages":[]}', Usage(30, 5)),
        (Operation.CHAT, b'{"messages":[],"max_completion_tokens":7,"n":3}', Usage(47, 21)),
        (Operation.CHAT, b'{"messages":[]}', Usage(15, 1000)),
        (Operation.CHAT, b'{"max_tokens":5000,"messages":[]}', Usage(33, 1000)),
        (Operation.CHAT, b'{"max_tokens":5,"messages":[{"type":"image_url"}]}', Usage(1000, 5)),
        (
            Operation.CHAT,
            b'{"max_tokens":5,"messages":[{"type":"image_\\u0075rl"}]}',
            Usage(1000, 5),
        ),
        (Operation.COMPLETIONS, b'{"max_tokens":5,"prompt":["a","b"],"n":2}', Usage(41, 20)),
        (Operation.COMPLETIONS, b'{"max_tokens":5,"prompt":[1,2,3]}', Usage(33, 5)),
        (Operation.COMPLETIONS, b'{"max_tokens":5,"best_of":4,"prompt":"a"}', Usage(41, 20)),
        (Operation.EMBEDDINGS, b'{"input":["a","b"]}', Usage(19, 0)),
        # Which of the two counts is the endpoint's choice.
        (Operation.CHAT, b'{"max_tokens":5,"max_completion_tokens":700}', Usage(44, 700)),
        # The query is read with each document.
        (Operation.RERANK, b'{"query":"a","documents":["b","c","d"]}', Usage(117, 0)),
    ],
)
def test_the_most_a_request_can_use(operation: Operation, body: bytes, expected: Usage) -> None:
    assert most(operation, body) == expected


def test_a_prompt_longer_than_the_context_is_not_billed_for() -> None:
    body = b'{"max_tokens":1,"messages":["%s"]}' % (b"x" * 5000)
    assert most(Operation.CHAT, body).prompt_tokens == 1000


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"messages":[],"temperature":1}', True),
        (b'{"messages":[],"service_tier":"priority"}', False),
        (b'{"messages":[],"service_tier":null}', True),
        (b'{"messages":[],"web_search_options":{}}', False),
        (b'{"messages":[],"modalities":["text","audio"],"audio":{"voice":"ash"}}', False),
        (b'{"messages":[],"prediction":{"type":"content","content":"x"}}', False),
    ],
)
def test_what_has_another_price_than_the_models_tokens(body: bytes, expected: bool) -> None:
    assert costs_by_the_token(body) is expected


@pytest.mark.parametrize(
    ("limit", "view", "expected"),
    [
        (0, View(waiting=0, room=False, coming=True), True),
        (2, View(waiting=1, room=False, coming=True), False),
        (2, View(waiting=2, room=False, coming=True), True),
        (0, View(waiting=0, room=True, coming=True), False),
        (0, View(waiting=5, room=False, coming=False), False),
    ],
)
def test_when_a_request_overflows(limit: int, view: View, expected: bool) -> None:
    assert overflows(limit, view) is expected


class Disk:
    """Stands in for fsync: notes what was synced and by whom, and can keep it waiting."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._directory = directory
        self.synced: list[str] = []
        self.threads: set[int] = set()
        self.begun, self.gate = threading.Event(), threading.Event()
        monkeypatch.setattr(os, "fsync", self._fsync)

    def _fsync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if not path.is_relative_to(self._directory):
            return  # what an earlier test left to be synced
        self.synced.append(path.name)
        self.threads.add(threading.get_ident())
        self.begun.set()
        assert self.gate.wait(20)


def test_changes_reach_the_disk_off_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page cache outlives a killed gateway, but not the machine."""
    disk = Disk(tmp_path, monkeypatch)
    spending = Spending(tmp_path / "money" / "overflow.json")
    first = spending.reserve("m", 10, LIMIT)
    assert first is not None
    assert disk.begun.wait(20)
    # Whoever asks meanwhile waits for no disk, and one more sync is enough for all of them.
    for _ in range(20):
        assert spending.reserve("m", 10, LIMIT)
    spending.settle(first, 3)
    assert spending.spent("m") == 203
    disk.gate.set()
    spending.flush()
    assert disk.synced == ["overflow.json", "money"] * 2
    assert threading.get_ident() not in disk.threads


def test_a_disk_that_fails_is_said_and_spending_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    spending = Spending(tmp_path / "overflow.json")
    assert spending.reserve("m", 10, LIMIT)
    spending.flush()
    assert "Input/output error" in caplog.text
    assert spending.reserve("m", 10, LIMIT)
    spending.flush()
