"""The thread that carries the journals' lines into the ledger, every two seconds."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from pathlib import Path

import msgspec

from pilotlight.meter.ledger import journal
from pilotlight.meter.ledger.database import JOURNAL, Database
from pilotlight.meter.ledger.entry import Line, decoded
from pilotlight.meter.ledger.journal import Segment
from pilotlight.meter.ledger.sums import Books

log = logging.getLogger(__name__)

FLUSH_S = 2.0
"""What a power cut can lose, and how far the ledger is behind; not what a kill can lose."""

BATCH_BYTES = 256 * 1024
"""Read at once: what Python does with so much delays the event loop by a millisecond or two."""

RETRY_S = 5.0
PRUNE_S = 3600.0


def read_lines(data: bytes, name: str) -> list[Line]:
    """What can't be read is said and passed over: one bad line mustn't hold up all others."""
    try:
        return decoded(data)
    except msgspec.MsgspecError:
        return [line for text in data.splitlines() for line in _read_line(text, name)]


def _read_line(text: bytes, name: str) -> list[Line]:
    try:
        return decoded(text)
    except msgspec.MsgspecError as error:
        log.error("the ledger's journal %s has a line that is none: %s", name, error)
        return []


class Clerk:
    """Runs from `start` to `close`, which leaves nothing behind that is written already."""

    def __init__(self, directory: Path, *, requests_s: float, sums_s: float) -> None:
        """Raises ConfigError."""
        self._database = Database.open(directory)
        self._journal = directory / JOURNAL
        self._requests_s = requests_s
        self._sums_s = sums_s
        self._pruned_s = 0.0
        self._work = threading.Event()
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._total = Books.empty()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        self._work.set()  # an earlier server may have left lines
        self._thread.start()

    def wake(self) -> None:
        """There are new lines."""
        if not self._work.is_set():
            self._work.set()

    def close(self) -> None:
        """Returns when all lines so far are in the ledger, or it was logged that they can't be."""
        self._ending.set()
        self._work.set()
        self._thread.join()
        self._turn()
        self._database.close()

    def totals(self) -> Books:
        """Since the start, with hour 0 for all hours and no replica's name."""
        with self._lock:
            return Books(dict(self._total.groups), dict(self._total.idle))

    def _run(self) -> None:
        while not self._ending.is_set():
            self._work.wait()
            self._work.clear()
            if not self._turn():
                self._work.set()
                self._ending.wait(RETRY_S)
            self._ending.wait(FLUSH_S)

    def _turn(self) -> bool:
        try:
            for path in journal.names(self._journal):
                with journal.opened(path) as segment:
                    if segment is not None:
                        self._carry(segment)
            self._prune(time.time())
        except (OSError, sqlite3.Error) as error:
            # The lines stay in the journal; nothing is lost but time.
            log.error("the ledger in %s can't be written: %s", self._journal.parent, error)
            return False
        return True

    def _carry(self, segment: Segment) -> None:
        name = segment.path.name
        offset = self._database.read_to(name)
        while data := segment.read(offset, BATCH_BYTES):
            added = self._database.add(name, offset, len(data), read_lines(data, name))
            if added is None:
                return
            self._count(added)
            offset += len(data)
        if segment.whole:
            segment.remove()
            self._database.forget(name, time.time())

    def _count(self, added: Books) -> None:
        with self._lock:
            for group, sums in added.groups.items():
                self._total.put(group._replace(hour=0, replica=""), sums)
            for idle_group, idle_sums in added.idle.items():
                self._total.put_idle(idle_group._replace(hour=0), idle_sums)

    def _prune(self, now_s: float) -> None:
        if now_s - self._pruned_s >= PRUNE_S:
            self._pruned_s = now_s
            self._database.prune(now_s, requests_s=self._requests_s, sums_s=self._sums_s)
