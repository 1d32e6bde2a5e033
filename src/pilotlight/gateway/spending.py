"""What overflow has cost today: reserved before a request goes out, settled when it is back.

The account is a file, read and replaced under a lock at every change. So it outlives
restarts, and two gateways on one data directory spend one budget. A gateway that is killed
leaves its reservations charged until midnight: money counts as spent until it is known not
to be. Only a power cut can undo a change, and only one of the last moments: each is brought
to the disk at once, by a thread of its own, since no request should wait for a disk.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

from pilotlight import durable

log = logging.getLogger(__name__)

PICO = 10**12
"""Amounts are whole picodollars: the price of a token has no exact float, and sums must."""


def picodollars(usd: float) -> int:
    """Rounded up: a cost is never understated."""
    return int((Decimal(str(usd)) * PICO).to_integral_value(ROUND_CEILING))


def dollars(amount: int) -> float:
    return amount / PICO


def utc_day() -> str:
    return datetime.now(UTC).date().isoformat()


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside for one request, on the day it was asked."""

    model: str
    amount: int
    day: str


@dataclass(frozen=True, slots=True)
class Book:
    """One day's spending by model, in picodollars; changes return a new book."""

    day: str
    spent: Mapping[str, int]

    def on(self, day: str) -> Book:
        """A new day has spent nothing. A clock that was set back does not open the purse again."""
        return Book(day, {}) if day > self.day else self

    def reserve(self, model: str, amount: int, limit: int) -> Book | None:
        """With `amount` set aside, or None where that would exceed `limit`."""
        after = self.spent.get(model, 0) + amount
        return None if after > limit else self._with(model, after)

    def settle(self, reservation: Reservation, actual: int) -> Book:
        """With the true cost in the reservation's place; of an earlier day nothing is left here."""
        if reservation.day != self.day:
            return self
        now = self.spent.get(reservation.model, 0)
        return self._with(reservation.model, max(0, now - reservation.amount + actual))

    def _with(self, model: str, amount: int) -> Book:
        return replace(self, spent={**self.spent, model: amount})


class Spending:
    """The book on disk. Changes block for the length of a small file's write."""

    def __init__(self, path: Path, today: Callable[[], str] = utc_day) -> None:
        self._path = path
        self._today = today
        self._disk = Disk(path)

    def reserve(self, model: str, amount: int, limit: int) -> Reservation | None:
        """None where the day's limit forbids it, or nobody can tell what was spent."""
        try:
            with self._locked():
                book = self._read().on(self._today())
                after = book.reserve(model, amount, limit)
                if after is None:
                    return None
                self._write(after)
                return Reservation(model, amount, after.day)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            # Not an empty book: a broken one must keep money in, not let it out.
            log.error(
                "nothing overflows: the spending in %s can't be kept (%s: %s); "
                "mend or remove the file",
                self._path, type(error).__name__, error,
            )  # fmt: skip
            return None

    def settle(self, reservation: Reservation, actual: int) -> None:
        if actual > reservation.amount:
            log.warning(
                "an overflow of model %s cost %.6f $, more than the %.6f $ set aside for it",
                reservation.model, dollars(actual), dollars(reservation.amount),
            )  # fmt: skip
        try:
            with self._locked():
                book = self._read().on(self._today())
                self._write(book.settle(reservation, actual))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.error("the spending in %s can't be kept: %s", self._path, error)

    def flush(self) -> None:
        """Returns when all changes so far are on the disk, or it was logged that they aren't."""
        self._disk.flush()

    def spent(self, model: str) -> int:
        """Today's, with what is set aside."""
        return self._read().on(self._today()).spent.get(model, 0)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _read(self) -> Book:
        try:
            tree: Any = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return Book(self._today(), {})
        spent = {str(model): int(amount) for model, amount in tree["spent_picousd"].items()}
        if min(spent.values(), default=0) < 0:
            raise ValueError("a negative amount")
        return Book(datetime.fromisoformat(tree["day"]).date().isoformat(), spent)

    def _write(self, book: Book) -> None:
        tree = {"version": 1, "day": book.day, "spent_picousd": dict(book.spent)}
        partial = self._path.with_name(f"{self._path.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps(tree, indent=1))
        os.replace(partial, self._path)
        self._disk.sync_soon()


class Disk:
    """Brings a file that was replaced, and the name it has, to the disk in the background."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._asked = False
        # Its thread begins with the first change; the interpreter waits for its last sync.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spending")

    def sync_soon(self) -> None:
        if not self._asked:  # else one that hasn't begun will bring this change too
            self._asked = True
            self._thread.submit(self._sync)

    def flush(self) -> None:
        self._thread.submit(lambda: None).result()

    def _sync(self) -> None:
        self._asked = False  # before it looks: what changes from here on asks for another
        try:
            for path in (self._path, self._path.parent):
                durable.sync(path)
        except OSError as error:
            log.error("the spending in %s may not outlive a power cut: %s", self._path, error)
