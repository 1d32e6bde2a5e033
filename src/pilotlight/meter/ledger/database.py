"""The ledger's file: SQLite, written by any number of servers, read by anybody meanwhile.

    requests   one row each, for as long as `ledger.keep_requests` says
    hours      sums by hour, key, model, adapter and replica, for as long as `ledger.keep` says
    idle       what the machine took while nobody used it, by hour
    segments   how far each segment of a journal has been read

Lines go in with how far they were read, in one transaction: each counts once, however often a
process is killed in between, and whoever reads it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self

from msgspec.structs import astuple

from pilotlight.errors import ConfigError
from pilotlight.meter.ledger.entry import ANSWERED, CANCELLED, Entry, Idle, Line
from pilotlight.meter.ledger.sums import (
    FIELDS,
    HOUR_S,
    IDLE_FIELDS,
    Books,
    Group,
    IdleGroup,
    IdleSums,
    Sums,
)

VERSION = 1
"""Changes with what an entry, a group or sums consist of: the tables have their very fields."""

FILE = "ledger.sqlite3"
JOURNAL = "journal"

_BUSY_S = 30.0
_AGAIN_S = 0.01
_FORGOTTEN_S = 86400.0
"""For so long it is known how far a segment was read that is gone: somebody may still hold what
was in it, and has to know that it was counted."""

_COLUMNS: Sequence[str] = Entry.__struct_fields__
_SCHEMA = f"""
CREATE TABLE requests ({", ".join(_COLUMNS)});
CREATE TABLE hours ({", ".join(Group._fields)}, {", ".join(FIELDS)},
    PRIMARY KEY ({", ".join(Group._fields)})) WITHOUT ROWID;
CREATE TABLE idle ({", ".join(IdleGroup._fields)}, {", ".join(IDLE_FIELDS)},
    PRIMARY KEY ({", ".join(IdleGroup._fields)})) WITHOUT ROWID;
CREATE TABLE segments (name TEXT PRIMARY KEY, bytes INTEGER, gone_s REAL) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""


# How a request's row goes into the sums; the one place that says so.
_GROUP: Mapping[str, str] = {
    "hour": f"CAST(at_s AS INTEGER) / {HOUR_S}",
    "key": "key",
    "model": "model",
    "adapter": "adapter",
    "replica": "replica",
    "source": "ifnull(energy_source, '')",
    "basis": "ifnull(cost_basis, '')",
}
_OURS = "counted IS 'events'"
_SUMS: Mapping[str, str] = {
    "requests": "count(*)",
    "answered": f"sum(outcome = '{ANSWERED}')",
    "cancelled": f"sum(outcome = '{CANCELLED}')",
    "prompt_tokens": f"sum(iif({_OURS}, 0, ifnull(prompt_tokens, 0)))",
    "cached_tokens": f"sum(iif({_OURS}, 0, ifnull(cached_tokens, 0)))",
    "completion_tokens": f"sum(iif({_OURS}, 0, ifnull(completion_tokens, 0)))",
    "event_prompt_tokens": f"sum(iif({_OURS}, ifnull(prompt_tokens, 0), 0))",
    "event_tokens": f"sum(iif({_OURS}, ifnull(completion_tokens, 0), 0))",
    "uncounted": "sum(prompt_tokens IS NULL)",
    "queue_ms": "sum(CAST(round(ifnull(queue_s, 0) * 1000) AS INTEGER))",
    "engine_ms": "sum(CAST(round(engine_s * 1000) AS INTEGER))",
    "energy_uj": "sum(ifnull(energy_uj, 0))",
    "load_uj": "sum(ifnull(load_uj, 0))",
    "cost_picousd": "sum(ifnull(cost_picousd, 0))",
    "load_picousd": "sum(ifnull(load_picousd, 0))",
}


def _columns(names: Sequence[str], of: Mapping[str, str]) -> str:
    return ", ".join(of[name] for name in names)


def _add_to(table: str, keys: Sequence[str], sums: Sequence[str]) -> str:
    """A statement: a row of it is new, or added to the one with its keys."""
    names = (*keys, *sums)
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in sums)
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {added}"
    )


_SUM_UP = (
    f"SELECT {_columns(Group._fields, _GROUP)}, {_columns(FIELDS, _SUMS)} FROM requests "
    f"WHERE rowid > ? GROUP BY {', '.join(map(str, range(1, len(Group._fields) + 1)))}"
)
_ADD_HOURS = _add_to("hours", Group._fields, FIELDS)
_ADD_IDLE = _add_to("idle", IdleGroup._fields, IDLE_FIELDS)
_ROW = f"({', '.join('?' * len(_COLUMNS))})"
_MOST_ROWS = 1000
"""In one statement. Each takes the interpreter from the event loop and gives it back, and where
the cores are busy that costs far more than the rows do."""


class Database:
    """Open for writing, by one thread. Every method blocks for the disk.

    The work is SQLite's own, which lets other threads run meanwhile.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @classmethod
    def in_memory(cls) -> Self:
        """Of its own, for sums of what isn't in any file yet."""
        db = _connect(":memory:")
        db.executescript(_SCHEMA)
        return cls(db)

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Raises ConfigError for a file that is no ledger, or one of a later version."""
        path = directory / FILE
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            db = _connect(f"{path.absolute().as_uri()}?mode=rwc")
            _write_ahead(db)
            db.execute("PRAGMA synchronous = FULL")  # a commit outlives a power cut
            path.chmod(0o600)
            _prepare(db, path)
            return cls(db)
        except (OSError, sqlite3.Error) as error:
            raise unreadable(path, error) from None

    def add(self, segment: str, offset: int, size: int, lines: Sequence[Line]) -> Books | None:
        """Lines of `segment` from `offset` on. Returns their sums, or None where another has
        added them meanwhile."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if self._read_to(segment) != offset:
                return None
            added = self._add(lines)
            self._db.execute(
                "INSERT INTO segments VALUES (?, ?, NULL) "
                "ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes",
                (segment, offset + size),
            )
        return added

    def read_to(self, segment: str) -> int:
        """How far a segment was read."""
        return self._read_to(segment)

    def forget(self, segment: str, now_s: float) -> None:
        """The segment was removed."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("UPDATE segments SET gone_s = ? WHERE name = ?", (now_s, segment))
            self._db.execute("DELETE FROM segments WHERE gone_s < ?", (now_s - _FORGOTTEN_S,))

    def prune(self, now_s: float, *, requests_s: float, sums_s: float) -> None:
        """Let go what is older than it is kept; sums by whole hours."""
        hour = int(max(0.0, now_s - sums_s)) // HOUR_S
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM requests WHERE at_s < ?", (now_s - requests_s,))
            self._db.execute("DELETE FROM hours WHERE hour < ?", (hour,))
            self._db.execute("DELETE FROM idle WHERE hour < ?", (hour,))

    def close(self) -> None:
        self._db.close()

    def _read_to(self, segment: str) -> int:
        row = self._db.execute("SELECT bytes FROM segments WHERE name = ?", (segment,)).fetchone()
        return 0 if row is None else int(row[0])

    def _add(self, lines: Sequence[Line]) -> Books:
        [last] = self._db.execute("SELECT ifnull(max(rowid), 0) FROM requests").fetchone()
        requests = [astuple(line) for line in lines if isinstance(line, Entry)]
        variables = self._db.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        at_once = min(_MOST_ROWS, variables // len(_COLUMNS))
        for first in range(0, len(requests), at_once):
            rows = requests[first : first + at_once]
            values = ", ".join([_ROW] * len(rows))
            self._db.execute(f"INSERT INTO requests VALUES {values}", [*chain(*rows)])
        sums_by_group = self._db.execute(_SUM_UP, (last,)).fetchall()
        self._db.executemany(_ADD_HOURS, sums_by_group)
        books = Books.empty()
        for row in sums_by_group:
            books.put(*_of_group(row))
        for idle in (line for line in lines if isinstance(line, Idle)):
            group, sums = _of_idle(idle)
            self._db.execute(_ADD_IDLE, (*group, *_values(sums)))
            books.put_idle(group, sums)
        return books


def _of_group(row: Sequence[Any]) -> tuple[Group, Sums]:
    keys = len(Group._fields)
    return Group(*row[:keys]), Sums(*row[keys:])


def _of_idle(idle: Idle) -> tuple[IdleGroup, IdleSums]:
    group = IdleGroup(int(idle.at_s) // HOUR_S, idle.energy_source or "")
    seconds_ms = round(idle.seconds * 1000)
    return group, IdleSums(seconds_ms, idle.energy_uj or 0, idle.cost_picousd or 0)


def _values(sums: IdleSums) -> tuple[int, ...]:
    return tuple(getattr(sums, name) for name in IDLE_FIELDS)


def _connect(uri: str) -> sqlite3.Connection:
    # Made by whoever opens the ledger, used by its thread alone.
    return sqlite3.connect(
        uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )


def _write_ahead(db: sqlite3.Connection) -> None:
    """Where another server switches it on at the same time, SQLite says so and doesn't wait."""
    last_s = time.monotonic() + _BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > last_s:
                raise
            time.sleep(_AGAIN_S)


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    if version(db) == 0:
        with db:
            db.execute("BEGIN IMMEDIATE")
            if version(db) == 0:  # else another server has made it meanwhile
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
    require_known(db, path)


def version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def require_known(db: sqlite3.Connection, path: Path) -> None:
    if version(db) != VERSION:
        raise ConfigError(
            f"the ledger {str(path)!r} has format {version(db)}, this Pilotlight reads {VERSION}",
            hint="use the Pilotlight that wrote it, or move the file away to begin a new one",
        )


def unreadable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"can't use the ledger {str(path)!r}: {error}",
        hint="mend its permissions or disk; a damaged one can be moved away, and a new one begins",
    )


def snapshot(path: Path, since_hour: int) -> tuple[Books, dict[str, int]]:
    """All sums from an hour on, and how far the journals were read for them, of one moment.

    Raises:
        ConfigError: it is no ledger, or of another version.
    """
    books = Books.empty()
    try:
        db = _connect(f"{path.absolute().as_uri()}?mode=ro")
        try:
            db.execute("BEGIN")
            require_known(db, path)
            _read(db, books, since_hour)
            return books, dict(db.execute("SELECT name, bytes FROM segments"))
        finally:
            db.close()
    except sqlite3.Error as error:
        raise unreadable(path, error) from None


def _read(db: sqlite3.Connection, books: Books, since_hour: int) -> None:
    names = ", ".join((*Group._fields, *FIELDS))
    for row in db.execute(f"SELECT {names} FROM hours WHERE hour >= ?", (since_hour,)):
        books.put(*_of_group(row))
    names = ", ".join((*IdleGroup._fields, *IDLE_FIELDS))
    for row in db.execute(f"SELECT {names} FROM idle WHERE hour >= ?", (since_hour,)):
        books.put_idle(IdleGroup(*row[:2]), IdleSums(*row[2:]))
