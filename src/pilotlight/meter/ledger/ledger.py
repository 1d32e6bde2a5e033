"""The ledger of a serving house: who is on the machine, what that costs, and that it is kept.

Used on the event loop, by one thread. A request costs it a look at the meter's last sample when it
comes and when it goes, and one write to the page cache; the rest is the clerk's thread's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from pilotlight.config import LedgerSettings
from pilotlight.meter.ledger.clerk import Clerk
from pilotlight.meter.ledger.database import FILE, JOURNAL, unreadable
from pilotlight.meter.ledger.entry import MICRO, PICO, Entry, Idle, Line, encoded
from pilotlight.meter.ledger.journal import Journal
from pilotlight.meter.ledger.power import Power, Total
from pilotlight.meter.ledger.rate import Rate
from pilotlight.meter.ledger.shares import NOTHING, Load, Shares, Taken
from pilotlight.meter.ledger.sums import Books
from pilotlight.metrics import EnergySource

IDLE_S = 10.0
"""Idle times are written together, this often: what a kill can lose of them."""


class Charge(msgspec.Struct, frozen=True, gc=False):
    """What one request cost: on the engine, and for its part of a load. Unknown is None."""

    energy_uj: int | None
    load_uj: int | None
    source: EnergySource | None
    cost_picousd: int | None
    load_picousd: int | None

    @property
    def joules(self) -> float | None:
        return _whole(self.energy_uj, self.load_uj, MICRO)

    @property
    def usd(self) -> float | None:
        return _whole(self.cost_picousd, self.load_picousd, PICO)


def _whole(run: int | None, load: int | None, unit: int) -> float | None:
    return None if run is None or load is None else (run + load) / unit


class Tab(msgspec.Struct, eq=False):
    """One request's use of the machine, while it lasts."""

    model: str
    load: Load | None = None
    mark: Taken | None = None
    """Of its load while it waits for that, then of its time on the engine."""

    waited: Taken = NOTHING
    used: Taken = NOTHING


class Ledger:
    """Opened by `begin`, or by the first line that is written; `close` comes after the last."""

    def __init__(
        self,
        directory: Path,
        settings: LedgerSettings,
        *,
        now: Callable[[], float],
        total: Callable[[], Total] | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`now` is the meter's clock, and `total` what it says; without one joules are unknown."""
        self._directory = directory
        self._settings = settings
        self._now = now
        self._wall = wall
        self._rate = Rate.of(settings)
        self._power = None if total is None else Power(total)
        self._open: tuple[Journal, Clerk] | None = None
        self._closed = False
        self._source: EnergySource | None = None
        """Of the joules that are known; those of dark times aren't, whoever told the rest."""

        now_s = now()
        joules = self._joules(now_s)
        self._dark = joules is None
        self._shares = Shares(self._rate, now_s, joules)
        self._idle_s = now_s

    def begin(self) -> None:
        """Raises ConfigError: the directory can't be written, or what is there is no ledger."""
        if self._open is not None:
            return
        directory, settings = self._directory, self._settings
        clerk = Clerk(directory, requests_s=settings.keep_requests, sums_s=settings.keep)
        try:
            self._open = Journal(directory / JOURNAL), clerk
        except OSError as error:
            raise unreadable(directory / FILE, error) from None
        clerk.start()

    def totals(self) -> Books:
        """What came into the ledger since `begin`, of all hours and replicas together."""
        return Books.empty() if self._open is None else self._open[1].totals()

    @property
    def refused(self) -> int:
        """Lines that the disk doesn't take, kept in memory; and those that were too many."""
        return 0 if self._open is None else self._open[0].refused + self._open[0].lost

    def wait(self, model: str) -> Tab:
        """A request waits for its model to load on this machine."""
        self._advance()
        load, mark = self._shares.wait(model)
        return Tab(model, load, mark)

    def enter(self, tab: Tab) -> None:
        """It is on an engine of this machine; if it waited for a load, that is over."""
        self._advance()
        self._shares.loaded(tab.model)
        self._stop_waiting(tab)
        tab.mark = self._shares.enter()

    def leave(self, tab: Tab) -> Charge:
        """It is over, or its client left, wherever it was then."""
        self._advance()
        if tab.load is not None:
            self._stop_waiting(tab)
        elif tab.mark is not None:
            tab.used, tab.mark = self._shares.leave(tab.mark), None
        return self._charge(tab)

    def so_far(self, tab: Tab) -> Charge:
        """Of a request that is on an engine still."""
        self._advance()
        assert tab.mark is not None
        return self._charge(Tab(tab.model, waited=tab.waited, used=self._shares.used(tab.mark)))

    def record(self, entry: Entry) -> None:
        """When this returns, no kill of this process can undo it."""
        self._write(entry)

    def tick(self) -> None:
        """Write down what was idle up to now."""
        self._advance()
        self._write_idle(self._now())

    def close(self) -> None:
        """Blocks until all is in the ledger. Idempotent."""
        if self._closed:
            return
        self.tick()
        self._closed = True
        if self._open is not None:
            journal, clerk = self._open
            journal.close()
            clerk.close()

    def _stop_waiting(self, tab: Tab) -> None:
        if tab.load is not None and tab.mark is not None:
            tab.waited = self._shares.waited(tab.model, tab.load, tab.mark)
            tab.load = tab.mark = None

    def _joules(self, now_s: float) -> float | None:
        if self._power is None:
            return None
        joules = self._power.joules(now_s)
        if joules is not None:
            self._source = self._power.source
        return joules

    def _advance(self) -> None:
        now_s = self._now()
        joules = self._joules(now_s)
        dark = joules is None
        # What was idle while nobody knew the joules is written by itself: it would hide the rest's.
        if dark and not self._dark:
            self._write_idle(now_s)
        self._shares.advance(now_s, joules)
        if now_s - self._idle_s >= IDLE_S or (self._dark and not dark):
            self._write_idle(now_s)
        self._dark = dark

    def _write_idle(self, now_s: float) -> None:
        self._idle_s = now_s
        idle = self._shares.drain_idle()
        if idle.seconds > 0:
            source = self._source_of(idle.dark_s)
            priced = self._prices(idle.dark_s)
            self._write(
                Idle(
                    at_s=self._wall(),
                    seconds=idle.seconds,
                    energy_uj=None if source is None else round(idle.joules * MICRO),
                    energy_source=source,
                    cost_picousd=round(idle.usd * PICO) if priced else None,
                )
            )

    def _charge(self, tab: Tab) -> Charge:
        used, waited = tab.used, tab.waited
        dark_s = used.dark_s + waited.dark_s
        source, priced = self._source_of(dark_s), self._prices(dark_s)
        return Charge(
            energy_uj=None if source is None else round(used.joules * MICRO),
            load_uj=None if source is None else round(waited.joules * MICRO),
            source=source,
            cost_picousd=round(used.usd * PICO) if priced else None,
            load_picousd=round(waited.usd * PICO) if priced else None,
        )

    def _source_of(self, dark_s: float) -> EnergySource | None:
        """Of joules in whose time there was so much of which nobody can tell."""
        return None if dark_s > 0 else self._source

    def _prices(self, dark_s: float) -> bool:
        return self._rate.known and (dark_s <= 0 or self._rate.usd_per_joule is None)

    def _write(self, line: Line) -> None:
        if self._open is None:
            self.begin()
        assert self._open is not None
        journal, clerk = self._open
        journal.append(encoded(line))
        clerk.wake()


def open_ledger(
    data_dir: Path,
    settings: LedgerSettings,
    *,
    now: Callable[[], float],
    total: Callable[[], Total] | None = None,
) -> Ledger | None:
    """None where it is switched off."""
    if not settings.enabled:
        return None
    return Ledger(directory_of(data_dir), settings, now=now, total=total)


def directory_of(data_dir: Path) -> Path:
    return data_dir / "ledger"
