"""An engine of several processes takes what all of them take."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pilotlight.fleet import resident

MIB = 2**20

HOLDS = "held = bytearray(b'x') * (%d << 20); print('held', flush=True); import sys; "
ALONE = HOLDS % 32 + "sys.stdin.read()"
WITH_A_CHILD = (
    HOLDS % 8
    + "import subprocess; child = subprocess.Popen([sys.executable, '-c', sys.argv[1]]); "
    + "child.wait()"
)
DROPS = HOLDS % 64 + "del held; print('dropped', flush=True); sys.stdin.read()"


@contextmanager
def running(program: str, *arguments: str, lines: int = 1) -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-S", "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        try:
            yield process.pid
        finally:
            os.killpg(process.pid, 9)


def test_a_process_alone_is_its_resident_set() -> None:
    with running(ALONE) as pid:
        now = resident.now_bytes(pid)
    assert now is not None
    assert 32 * MIB < now < 64 * MIB


def test_children_count_and_shared_pages_only_once() -> None:
    with running(WITH_A_CHILD, ALONE, lines=2) as pid:
        now = resident.now_bytes(pid)
    assert now is not None
    assert 40 * MIB < now < 64 * MIB


def test_the_peak_is_remembered() -> None:
    with running(DROPS, lines=2) as pid:
        now, peak = resident.now_bytes(pid), resident.peak_bytes(pid)
    assert now is not None
    assert peak is not None
    assert now < 64 * MIB < peak


def test_what_is_gone_takes_nothing() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as process:
        process.wait()
    assert resident.now_bytes(process.pid) is None
    assert resident.peak_bytes(process.pid) is None
