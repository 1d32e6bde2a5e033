"""What goes in is what is read: while it is written, across restarts, and after a kill."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pilotlight.errors import ConfigError
from pilotlight.meter.ledger import database, journal
from pilotlight.meter.ledger.costs import Costs, Row, read
from pilotlight.meter.ledger.database import FILE, JOURNAL, Database
from pilotlight.meter.ledger.entry import encoded
from pilotlight.meter.ledger.ledger import Ledger, Tab
from pilotlight.meter.ledger.sums import HOUR_S

from .made import DAY_S, MIDNIGHT_S, Meter, Time, entry, ledger


def costs(directory: Path, by: str = "key", last_s: float = DAY_S, after_s: float = 60.0) -> Costs:
    return read(directory, by, last_s, MIDNIGHT_S + after_s)


def row(directory: Path, name: str = "k", by: str = "key") -> Row:
    [found] = [each for each in costs(directory, by).rows if each.name == name]
    return found


def test_what_is_recorded_is_read_at_once_and_after_the_end(tmp_path: Path) -> None:
    kept = ledger(tmp_path, Time())
    for number in range(100):
        kept.record(entry(prompt_tokens=number, cached_tokens=1))
        if number == 50:
            assert row(tmp_path).sums.requests == 51
    assert row(tmp_path).sums.prompt_tokens == sum(range(100))
    kept.close()
    sums = row(tmp_path).sums
    assert (sums.requests, sums.answered, sums.cached_tokens) == (100, 100, 100)
    assert (sums.completion_tokens, sums.engine_ms) == (700, 100_000)
    assert not list((tmp_path / JOURNAL).iterdir()), "all of it is in the ledger"


def test_sums_go_on_after_a_restart(tmp_path: Path) -> None:
    for _ in range(3):
        kept = ledger(tmp_path, Time())
        kept.record(entry())
        kept.close()
    assert row(tmp_path).sums.requests == 3


def test_two_servers_keep_one_ledger(tmp_path: Path) -> None:
    one, two = ledger(tmp_path, Time()), ledger(tmp_path, Time())
    for _ in range(20):
        one.record(entry())
        two.record(entry(key="other"))
    assert row(tmp_path).sums.requests == 20
    one.close()
    two.close()
    assert row(tmp_path).sums.requests == 20
    assert row(tmp_path, "other").sums.requests == 20


_KILLED = """
import os, signal, sys
from pathlib import Path
from pilotlight.config import LedgerSettings
from pilotlight.meter.ledger.ledger import Ledger
from tests.ledger.made import Time, entry, ledger
kept = ledger(Path(sys.argv[1]), Time())
for number in range(int(sys.argv[2])):
    kept.record(entry(request=str(number)))
    print(number, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_loses_nothing_that_was_recorded(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    for number in (1, 400, 37):
        done = subprocess.run(
            (sys.executable, "-c", _KILLED, str(tmp_path), str(number)),
            cwd=root, stdout=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL
    assert row(tmp_path).sums.requests == 438, "read from the journals of the dead"
    ledger(tmp_path, Time()).close()
    kept = ledger(tmp_path, Time())
    kept.begin()
    kept.close()
    assert row(tmp_path).sums.requests == 438
    assert not list((tmp_path / JOURNAL).iterdir())


def test_a_line_that_a_kill_cut_short_was_never_told_to_anybody(tmp_path: Path) -> None:
    directory = tmp_path / JOURNAL
    directory.mkdir()
    (directory / "00000000000000000001-1-0.jsonl").write_bytes(
        encoded(entry()) + b"no line\n" + encoded(entry()) + encoded(entry())[:50]
    )
    kept = ledger(tmp_path, Time())
    kept.begin()
    kept.close()
    assert row(tmp_path).sums.requests == 2


def test_a_journal_of_many_segments_is_one(tmp_path: Path) -> None:
    directory = tmp_path / JOURNAL
    writer = journal.Journal(directory, segment_bytes=500)
    for _ in range(50):
        writer.append(encoded(entry()))
    assert len(journal.names(directory)) > 10
    kept = ledger(tmp_path, Time())
    kept.record(entry())
    kept.close()
    assert row(tmp_path).sums.requests == 51
    assert len(journal.names(directory)) == 1, "the one that is still written to"
    writer.append(encoded(entry()))
    writer.close()
    assert row(tmp_path).sums.requests == 52


def test_a_line_that_no_ledger_could_hold_holds_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite's integers end at 2^63; the thread ended with them, for good."""
    writer = journal.Journal(tmp_path / JOURNAL)
    for tokens in (5, 2**63, 7):
        writer.append(encoded(entry(prompt_tokens=tokens)))
    writer.close()
    kept = ledger(tmp_path, Time())
    kept.begin()
    kept.close()
    assert row(tmp_path).sums.prompt_tokens == 12
    assert "has a line that is none" in caplog.text


def test_what_comes_after_the_end_is_there_for_the_next(tmp_path: Path) -> None:
    """A request that outlives the shutdown; the file's number may be somebody else's by then."""
    kept = ledger(tmp_path, Time())
    kept.record(entry())
    kept.close()
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    kept.record(entry())
    assert os.fstat(other).st_size == 0
    os.close(other)
    assert row(tmp_path).sums.requests == 2


def test_what_a_full_disk_refuses_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept = ledger(tmp_path, Time())
    kept.record(entry())
    real, room = os.write, [40]

    def full(file: int, data: bytes) -> int:
        taken = real(file, data[: room[0]]) if room[0] else 0
        if not taken:
            raise OSError(28, "No space left on device")
        room[0] -= taken
        return taken

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        kept.record(entry())
        kept.record(entry())
    assert kept.refused == 2
    assert row(tmp_path).sums.requests == 1
    kept.record(entry())
    assert kept.refused == 0
    kept.close()
    assert row(tmp_path).sums.requests == 4
    assert [log.levelname for log in caplog.records] == ["ERROR", "WARNING"], "not for each line"


def test_lines_count_once_though_two_carry_them(tmp_path: Path) -> None:
    database = Database.open(tmp_path)
    assert database.add("s", 0, 10, [entry()])
    assert not database.add("s", 0, 10, [entry()])
    assert database.add("s", 10, 5, [entry()])
    assert database.read_to("s") == 15
    database.close()
    assert row(tmp_path).sums.requests == 2


def test_a_day_later_requests_are_gone_and_sums_stay(tmp_path: Path) -> None:
    database = Database.open(tmp_path)
    database.add("s", 0, 1, [entry(), entry(at_s=MIDNIGHT_S + DAY_S)])
    database.prune(MIDNIGHT_S + 1.5 * DAY_S, requests_s=DAY_S, sums_s=float("inf"))
    with sqlite3.connect(tmp_path / FILE) as db:
        assert db.execute("SELECT count(*) FROM requests").fetchone() == (1,)
    db.close()
    assert sum(each.sums.requests for each in costs(tmp_path, last_s=9e9).rows) == 2
    database.prune(MIDNIGHT_S + 1.5 * DAY_S, requests_s=DAY_S, sums_s=DAY_S)
    assert sum(each.sums.requests for each in costs(tmp_path, last_s=9e9).rows) == 1
    database.close()


def test_a_ledger_that_another_makes_just_now_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second looked before the first had made it, and must not hold it locked."""
    real, firsts = database.version, []

    def late(db: sqlite3.Connection) -> int:
        if not firsts:
            firsts.append(None)
            firsts[0] = Database.open(tmp_path)
            return 0
        return real(db)

    monkeypatch.setattr(database, "version", late)
    second = Database.open(tmp_path)
    for each, name in ((second, "b"), (firsts[0], "a")):
        assert each.add(name, 0, 10, [entry()]) is not None
        each.close()
    assert row(tmp_path).sums.requests == 2


def test_whoever_switches_it_on_at_the_same_time_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own patience doesn't go for this."""
    refusals = ["database is locked"] * 2

    class Busy(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if "journal_mode" in sql and refusals:
                raise sqlite3.OperationalError(refusals.pop())
            return super().execute(sql, *values)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=Busy, **k))
    Database.open(tmp_path).close()
    assert not refusals


def test_a_ledger_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    Database.open(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    for use in (lambda: Database.open(tmp_path), lambda: costs(tmp_path)):
        with pytest.raises(ConfigError, match="has format 9, this Pilotlight reads 1"):
            use()


def test_no_ledger_and_a_damaged_one_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no ledger") as none:
        costs(tmp_path)
    assert "pilotlight serve" in str(none.value.hint)
    (tmp_path / FILE).write_bytes(b"not a database, but longer than its header" * 99)
    with pytest.raises(ConfigError, match="can't use the ledger"):
        costs(tmp_path)
    with pytest.raises(ConfigError, match="can't use the ledger"):
        ledger(tmp_path, Time()).begin()


def test_by_whom_and_since_when(tmp_path: Path) -> None:
    kept = ledger(tmp_path, Time())
    kept.record(entry(key="a", model="m", adapter="lora", replica="m-1"))
    kept.record(entry(key="a", model="n", replica="n-1", at_s=MIDNIGHT_S - 2 * HOUR_S))
    kept.record(entry(key="", model="n", replica="n-1", at_s=MIDNIGHT_S - DAY_S))

    def found(by: str, last_s: float = 9e9) -> dict[str, int]:
        rows = costs(tmp_path, by, last_s).rows
        return {each.name: each.sums.requests for each in rows}

    for _ in range(2):
        assert found("key") == {"": 1, "a": 2}
        assert found("model") == {"m": 1, "n": 2}
        assert found("adapter") == {"m:lora": 1, "n": 2}
        assert found("replica") == {"m-1": 1, "n-1": 2}
        assert found("day") == {"2024-10-03": 2, "2024-10-04": 1}
        assert found("key", 3600) == {"a": 1}
        assert found("key", 3 * 3600) == {"a": 2}
        kept.close()
        kept = ledger(tmp_path, Time())


def use(time: Time, meter: Meter, *, watts: float, seconds: float) -> None:
    """Let time pass; the meter samples at its end."""
    time.now_s += seconds
    meter.says(time.now_s, (meter.gross_j or 0.0) + watts * seconds)


def run(kept: Ledger, time: Time, meter: Meter, **fields: Any) -> None:
    """A request of ten seconds at 50 W."""
    tab = Tab("m")
    kept.enter(tab)
    use(time, meter, watts=50.0, seconds=10.0)
    charge = kept.leave(tab)
    kept.record(
        entry(
            at_s=time.wall(),
            energy_uj=charge.energy_uj,
            load_uj=charge.load_uj,
            energy_source=charge.source,
            cost_picousd=charge.cost_picousd,
            load_picousd=charge.load_picousd,
            cost_basis="machine" if charge.cost_picousd is not None else None,
            **fields,
        )
    )


def test_joules_and_dollars_of_requests_and_idle_are_all_that_was_metered(tmp_path: Path) -> None:
    time, meter = Time(), Meter()
    kept = ledger(tmp_path, time, meter, usd_per_kwh=0.36, usd_per_hour=0.036)
    use(time, meter, watts=20.0, seconds=30.0)
    run(kept, time, meter, key="a")
    run(kept, time, meter, key="b")
    run(kept, time, meter, key="b")
    use(time, meter, watts=20.0, seconds=30.0)
    kept.close()
    found = costs(tmp_path)
    a, b = found.rows
    assert (a.sums.energy_uj, b.sums.energy_uj) == (500_000_000, 1000_000_000)
    assert found.idle.energy_uj == 1200_000_000
    assert (a.idle_uj, b.idle_uj, found.left_uj) == (400_000_000, 800_000_000, 0)
    assert a.sources == found.idle_sources == ("measured-rapl",)
    # 0.36 $/kWh is 1e-7 $/J, and 0.036 $/h is 1e-5 $/s.
    assert a.sums.cost_picousd == pytest.approx((500e-7 + 10e-5) * 1e12)
    assert found.idle.cost_picousd == pytest.approx((1200e-7 + 60e-5) * 1e12)
    assert a.idle_picousd + b.idle_picousd == found.idle.cost_picousd
    assert (a.unmetered, a.unpriced) == (0, 0)


def test_without_a_meter_joules_are_unknown_and_so_is_what_they_would_cost(tmp_path: Path) -> None:
    time = Time()
    kept = ledger(tmp_path, time, None, usd_per_kwh=0.36, usd_per_hour=1.0)
    run(kept, time, Meter())
    kept.close()
    [found] = costs(tmp_path).rows
    assert (found.energy_uj, found.cost_picousd) == (None, None)
    assert (found.unmetered, found.unpriced) == (1, 1)


def test_rent_alone_needs_no_meter(tmp_path: Path) -> None:
    time = Time()
    kept = ledger(tmp_path, time, None, usd_per_hour=3.6)
    run(kept, time, Meter())
    kept.close()
    [found] = costs(tmp_path).rows
    assert found.sums.cost_picousd == pytest.approx(1e-3 * 10 * 1e12)


def test_idle_of_a_day_that_nobody_used_is_nobodys(tmp_path: Path) -> None:
    time, meter = Time(), Meter()
    kept = ledger(tmp_path, time, meter)
    use(time, meter, watts=10.0, seconds=60.0)
    kept.close()
    found = costs(tmp_path, after_s=120.0)
    assert found.rows == ()
    assert (found.idle.energy_uj, found.left_uj) == (600_000_000, 600_000_000)
    assert found.idle.seconds_ms == 60_000


def test_idle_before_the_meter_speaks_hides_nothing_after_it(tmp_path: Path) -> None:
    time, meter = Time(), Meter(gross_j=None, source=None)
    kept = ledger(tmp_path, time, meter)
    time.now_s = 1.0
    kept.tick()
    meter.source = "measured-rapl"
    use(time, meter, watts=0.0, seconds=1.0)
    kept.tick()
    use(time, meter, watts=10.0, seconds=5.0)
    meter.says(time.now_s, None)
    kept.tick()
    meter.says(time.now_s, 50.0)
    kept.tick()
    use(time, meter, watts=10.0, seconds=2.0)
    kept.close()
    found = costs(tmp_path)
    assert found.idle.seconds_ms == 9_000
    assert found.idle.energy_uj == 20_000_000, (
        "of the last two seconds; the others began or ended unknown"
    )


def test_idle_joules_from_before_the_meter_fell_silent_stay_known(tmp_path: Path) -> None:
    time, meter = Time(), Meter()
    kept = ledger(tmp_path, time, meter, usd_per_kwh=0.36)
    use(time, meter, watts=10.0, seconds=5.0)
    tab = Tab("m")
    kept.enter(tab)
    kept.leave(tab)
    meter.says(time.now_s, None)
    time.now_s += 3.0
    kept.close()
    idle = costs(tmp_path).idle
    assert (idle.seconds_ms, idle.energy_uj) == (8_000, 50_000_000)
    assert idle.cost_picousd == pytest.approx(50e-7 * 1e12)


def test_broken_off_answers_are_counted_apart(tmp_path: Path) -> None:
    kept = ledger(tmp_path, Time())
    kept.record(entry())
    kept.record(
        entry(outcome="cancelled", counted="events", prompt_tokens=None, completion_tokens=3)
    )
    kept.record(
        entry(outcome="engine_crashed", counted="events", cached_tokens=2, completion_tokens=4)
    )
    kept.close()
    sums = row(tmp_path).sums
    assert (sums.requests, sums.answered, sums.cancelled) == (3, 1, 1)
    assert (sums.prompt_tokens, sums.completion_tokens) == (5, 7)
    assert (sums.event_prompt_tokens, sums.event_tokens, sums.uncounted) == (5, 7, 1)
    assert sums.cached_tokens == 0, "those of the prompts that are counted here"
