"""Who pays for what the machine takes, by the rule atop `shares`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.config import LedgerSettings
from pilotlight.meter.ledger.rate import YEAR_S, Rate
from pilotlight.meter.ledger.shares import Load, Shares, Taken

RATE = Rate(usd_per_s=1.0, usd_per_joule=0.01)
WATTS = 100.0


@dataclass
class Machine:
    """Shares whose machine draws 100 W all the time."""

    shares: Shares = field(default_factory=lambda: Shares(RATE, 0.0, 0.0))
    now_s: float = 0.0

    def at(self, now_s: float) -> Shares:
        self.now_s = now_s
        self.shares.advance(now_s, WATTS * now_s)
        return self.shares


def about(taken: Taken, seconds: float) -> None:
    """So much of the machine's time, and what goes with it."""
    assert taken.seconds == pytest.approx(seconds)
    assert taken.joules == pytest.approx(WATTS * seconds)
    assert taken.usd == pytest.approx(2.0 * seconds)
    assert taken.dark_s == 0


def test_one_alone_pays_for_all_of_its_time_and_idle_for_the_rest() -> None:
    m = Machine()
    mark = m.at(10).enter()
    about(m.at(13).leave(mark), 3)
    m.at(20)
    about(m.shares.drain_idle(), 17)
    about(m.shares.drain_idle(), 0)


def test_those_who_run_at_once_share_in_equal_parts() -> None:
    m = Machine()
    one = m.at(0).enter()
    two = m.at(4).enter()
    about(m.at(10).leave(one), 4 + 3)
    about(m.at(12).leave(two), 3 + 2)
    about(m.shares.drain_idle(), 0)


def test_a_load_is_one_user_however_many_wait_for_it() -> None:
    m = Machine()
    running = m.at(0).enter()
    load, first = m.at(0).wait("m")
    _, second = m.at(6).wait("m")
    m.at(10).loaded("m")
    about(m.shares.waited("m", load, first), 3 + 1)
    about(m.shares.waited("m", load, second), 1)
    about(m.at(10).leave(running), 5)


def test_who_still_queues_after_the_load_pays_nothing_more() -> None:
    m = Machine()
    load, early = m.at(0).wait("m")
    _, late = m.at(0).wait("m")
    m.at(8).loaded("m")
    about(m.shares.waited("m", load, early), 4)
    served = m.shares.enter()
    about(m.at(20).waited("m", load, late), 4)
    about(m.shares.leave(served), 12)


def test_a_load_that_everybody_left_is_idle_from_then_on() -> None:
    m = Machine()
    load, mark = m.at(0).wait("m")
    about(m.at(5).waited("m", load, mark), 5)
    assert m.shares.idle
    m.at(9)
    about(m.shares.drain_idle(), 4)
    m.shares.loaded("m")  # nobody waits: nothing to end
    assert m.shares.idle


def test_the_next_load_of_a_model_is_another() -> None:
    m = Machine()
    load, mark = m.at(0).wait("m")
    m.at(2).loaded("m")
    again, second = m.at(2).wait("m")
    assert again is not load
    about(m.at(5).waited("m", load, mark), 2)
    about(m.shares.waited("m", again, second), 3)


def test_where_the_meter_is_silent_joules_are_unknown_and_money_by_time_is_not() -> None:
    shares = Shares(Rate(usd_per_s=1.0), 0.0, 0.0)
    one = shares.enter()
    shares.advance(2.0, None)
    taken = shares.leave(one)
    assert (taken.dark_s, taken.usd) == (2.0, 2.0)
    shares.advance(3.0, 500.0)  # since when is unknown, so this is nobody's
    two = shares.enter()
    shares.advance(4.0, 600.0)
    taken = shares.leave(two)
    assert (taken.joules, taken.dark_s) == (100.0, 0.0)


def test_a_clock_that_stands_still_or_goes_back_charges_nothing() -> None:
    shares = Shares(RATE, 5.0, 10.0)
    mark = shares.enter()
    shares.advance(4.0, 10.0)
    assert shares.leave(mark) == Taken()


Step = tuple[str, float, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(("enter", "leave", "wait", "give_up", "loaded")),
        st.floats(0.0, 100.0),
        st.integers(0, 5),
    ),
    max_size=60,
)


@dataclass
class Company:
    """Comes and goes on one machine."""

    machine: Machine = field(default_factory=Machine)
    running: list[Taken] = field(default_factory=list)
    waiting: list[tuple[str, Load, Taken]] = field(default_factory=list)
    paid: list[Taken] = field(default_factory=list)

    def enter(self, number: int) -> None:
        self.running.append(self.machine.shares.enter())

    def leave(self, number: int) -> None:
        if self.running:
            mark = self.running.pop(number % len(self.running))
            self.paid.append(self.machine.shares.leave(mark))

    def wait(self, number: int) -> None:
        model = f"m{number % 2}"
        self.waiting.append((model, *self.machine.shares.wait(model)))

    def give_up(self, number: int) -> None:
        if self.waiting:
            left = self.waiting.pop(number % len(self.waiting))
            self.paid.append(self.machine.shares.waited(*left))

    def loaded(self, number: int) -> None:
        self.machine.shares.loaded(f"m{number % 2}")

    def end(self) -> None:
        while self.running:
            self.leave(0)
        while self.waiting:
            self.give_up(0)
        self.paid.append(self.machine.shares.drain_idle())


@given(steps)
def test_every_joule_and_dollar_is_somebodys_once(given_steps: list[Step]) -> None:
    company = Company()
    machine = company.machine
    for what, pause_s, number in given_steps:
        machine.at(machine.now_s + pause_s)
        getattr(company, what)(number)
    machine.at(machine.now_s + 1)
    company.end()
    assert machine.shares.idle
    assert math.fsum(part.seconds for part in company.paid) == pytest.approx(machine.now_s)
    assert math.fsum(part.joules for part in company.paid) == pytest.approx(WATTS * machine.now_s)
    assert all(part.seconds >= -1e-9 for part in company.paid)


@pytest.mark.parametrize(
    ("settings", "usd_per_s", "usd_per_joule"),
    [
        ({}, None, None),
        ({"usd_per_kwh": 0.36}, None, 1e-7),
        ({"hardware_usd": YEAR_S, "hardware_years": 2.0}, 0.5, None),
        ({"usd_per_hour": 3600.0, "hardware_usd": YEAR_S, "hardware_years": 1.0}, 2.0, None),
    ],
)
def test_what_a_machine_costs(
    settings: dict[str, Any], usd_per_s: float | None, usd_per_joule: float | None
) -> None:
    rate = Rate.of(LedgerSettings(**settings))
    assert rate.usd_per_s == pytest.approx(usd_per_s)
    assert rate.usd_per_joule == pytest.approx(usd_per_joule)
    assert rate.known == bool(settings)
