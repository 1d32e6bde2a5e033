"""Ctrl-C, as a shell sends it: the first ends the run with what there is, the second at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, sys
from itertools import count
from pilotlight.bench.ask import Ask
from pilotlight.bench.load import Load
from pilotlight.bench.run import run_here
from pilotlight.bench.target import Target
from pilotlight.testing.options import FakeOptions
from pilotlight.testing.server import Model
import threading

ready = threading.Event()
def serve():
    async def main():
        global port
        model = Model("fake", FakeOptions(words=4), None)
        port = await model.listen_on_port(0)
        ready.set()
        await asyncio.Event().wait()
    asyncio.run(main())
threading.Thread(target=serve, daemon=True).start()
ready.wait()
asks = (Ask(content=str(n)) for n in count())
seen = []
def on_record(record):
    seen.append(record)
    if len(seen) == 20:
        print("going", flush=True)
found = run_here(Target(url=f"http://127.0.0.1:{port}", model="fake"), asks,
                 Load(kind="closed", concurrency=2), on_record=on_record)
assert len(found.records) == len(seen)
print(found.ended_by, len(found.records) >= 20, all(r.ok for r in found.records), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def running(tmp_path: Path) -> subprocess.Popen[str]:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return subprocess.Popen(
        [sys.executable, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_the_first_keeps_what_was_measured_and_the_second_interrupts(
    running: subprocess.Popen[str],
) -> None:
    assert running.stdout is not None
    with running:
        assert running.stdout.readline() == "going\n"
        os.kill(running.pid, signal.SIGINT)
        assert running.stdout.readline() == "stopped True True\n"
        os.kill(running.pid, signal.SIGINT)
        _, said = running.communicate(timeout=20)
        assert "KeyboardInterrupt" in said
