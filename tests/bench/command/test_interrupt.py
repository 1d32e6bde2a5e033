"""Ctrl-C: what was measured by then is a report, and what was started is gone."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pilotlight.bench.files import read
from pilotlight.bench.subjects import Subject
from pilotlight.bench.subjects.asking import Endpoint, ask
from pilotlight.cli.exits import Exit

from .conftest import COMMAND

BENCH = (*COMMAND[:-1], "bench")


def begun(*args: str) -> subprocess.Popen[str]:
    """As a terminal would run it."""
    return subprocess.Popen((*BENCH, *args), stderr=subprocess.PIPE, text=True)


def busy(fake: Subject) -> bool:
    (model,) = ask(Endpoint(fake.url), "/pilotlight/v1/ps")["models"]
    return any(replica["in_flight"] for replica in model["replicas"])


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_report_of_what_was_measured(fake: Subject, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    bench = begun(fake.url, "--duration", "10m", "--no-energy", "--out", str(out),
                  "--concurrency", "2", "--concurrency", "4")  # fmt: skip
    for _ in range(50):  # long enough for answers to have come
        while not busy(fake):
            assert bench.poll() is None
    bench.send_signal(signal.SIGINT)
    _, said = bench.communicate(timeout=60)
    assert bench.returncode == 0, said
    (report,) = read(out)
    assert len(report.stages) == 1, "the next stage wasn't begun"
    assert any("stopped before its end" in note for note in report.notes)


def test_what_was_started_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "weights.gguf").write_bytes(b"none")
    bench = begun("weights.gguf", "--engine", "fake", "--option", "load_delay_ms=60000",
                  "--no-energy")  # fmt: skip
    assert bench.stderr is not None
    assert "starting" in bench.stderr.readline()
    children: list[psutil.Process] = []
    while len(children) < 2:  # the server, and its engine that loads
        children = psutil.Process(bench.pid).children(recursive=True)
    bench.send_signal(signal.SIGINT)
    bench.communicate(timeout=60)
    assert bench.returncode == Exit.INTERRUPTED
    gone, alive = psutil.wait_procs(children, timeout=20)
    assert gone
    assert not alive
