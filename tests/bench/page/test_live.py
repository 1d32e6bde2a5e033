"""A run watched while it goes: what stands on the terminal, and what it may never do to the run."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator

import pytest

from pilotlight.bench.live import Live
from pilotlight.bench.load import Load
from pilotlight.bench.record import Record
from pilotlight.bench.run import Progress

from . import samples

LOAD = Load(kind="closed", concurrency=8, duration_s=60.0, warmup_requests=1)
NEVER_S = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def answer(index: int, *, ttft_ms: float = 120.0, warmup: bool = False) -> Record:
    return Record(
        index=index, scheduled_s=1.0, sent_s=1.0001, first_s=1.0 + ttft_ms / 1000, last_s=2.0,
        ended_s=2.0, output_tokens=21, warmup=warmup,
    )  # fmt: skip


def lines(*, tty: bool) -> str:
    """Twelve answers in twelve seconds, one of them a warm-up and two errors."""
    out, clock = io.StringIO(), Clock()
    with Live(out, tty=tty, width=100, every_s=NEVER_S, clock=clock) as live:
        live.say("starting smollm2")
        live.stage("8 at once", LOAD, samples.CHAT)
        live.on_record(answer(0, ttft_ms=5000.0, warmup=True))
        for index in range(1, 10):
            clock.now_s += 1
            live.on_record(answer(index, ttft_ms=100.0 + index))
        failed = Record(index=10, scheduled_s=1, sent_s=1, ended_s=2, error="timeout")
        live.on_record(failed)
        live.on_record(failed)
        clock.now_s += 3
        progress = Progress(elapsed_s=12, sent=20, done=12, errors=2, in_flight=8, waiting=0)
        live.on_tick(progress)
        live.draw()
        live.finished("8 at once: 18.9 output tokens/s")
    return out.getvalue()


def test_a_log_has_one_line_a_look() -> None:
    assert lines(tty=False).splitlines() == [
        "starting smollm2",
        "0:12 8 at once; 12 answered, 1 of them warm-up, 8 in flight, errors: 2 timeout; "
        "1 requests/s, 16.8 output tokens/s; sent 0 ms after due; "
        "TTFT p50 105 ms, p95 109 ms; TPOT p50 44.8 ms, p95 45 ms",
        "8 at once: 18.9 output tokens/s",
    ]


def test_a_terminal_is_redrawn_in_place() -> None:
    text = lines(tty=True)
    assert "\n8 at once · 0:12 █████░░░░░░░░░░░░░░░░░░░ 20%\n" in text
    assert "  TTFT  p50 105 ms  p95 109 ms  (limit 200 ms)\n" in text
    assert "  82 % kept the service level\n" in text
    frame, after = text.split("\x1b[6A\x1b[J")
    assert frame.count("\n") == 1 + 6
    assert after == "8 at once: 18.9 output tokens/s\n"


def test_warm_up_is_in_no_latency() -> None:
    assert "5 s" not in lines(tty=True)


def test_a_server_cant_drive_the_terminal() -> None:
    out = io.StringIO()
    with Live(out, tty=False, every_s=NEVER_S) as live:
        live.say("from \x1b]0;owned\x07 a name\r")
        live.stage("\x1b[2Jstage", LOAD)
        live.draw()
    assert not set(out.getvalue()) & {"\x1b", "\x07", "\r"}


class Stuck(io.StringIO):
    """A terminal whose user pressed Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.released = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        assert self.released.wait(10)
        return super().write(text)


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    out = Stuck()
    yield out
    out.released.set()


def test_a_paused_terminal_never_holds_the_run_up(stuck: Stuck) -> None:
    with Live(stuck, tty=False, every_s=0.001) as live:
        live.stage("8 at once", LOAD)
        assert stuck.reached.wait(10)
        for index in range(1000):
            live.on_record(answer(index))
        stuck.released.set()
    assert stuck.getvalue()


def test_a_closed_output_ends_the_drawing_and_not_the_run() -> None:
    out = io.StringIO()
    with Live(out, tty=False, every_s=NEVER_S) as live:
        live.stage("8 at once", LOAD)
        out.close()
        live.draw()
        live.on_record(answer(0))
        live.finished("done")
