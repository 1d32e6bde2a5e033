"""Ctrl-C, or a scheduler's end, or a terminal that is gone: what was measured by then is a report,
and what was started is gone."""

from __future__ import annotations

import signal
import subprocess
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


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_report_of_what_was_measured(fake: Subject, tmp_path: Path, told: signal.Signals) -> None:
    out = tmp_path / "report.json"
    bench = begun(fake.url, "--duration", "10m", "--no-energy", "--out", str(out),
                  "--concurrency", "2", "--concurrency", "4")  # fmt: skip
    for _ in range(50):  # long enough for answers to have come
        while not busy(fake):
            assert bench.poll() is None
    bench.send_signal(told)
    _, said = bench.communicate(timeout=60)
    assert bench.returncode == 0, said
    (report,) = read(out)
    assert len(report.stages) == 1, "the next stage wasn't begun"
    assert any("stopped before its end" in note for note in report.notes)


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_what_was_started_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: signal.Signals
) -> None:
    (tmp_path / "weights.gguf").write_bytes(b"none")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    bench = begun("weights.gguf", "--engine", "fake", "--option", "load_delay_ms=60000",
                  "--no-energy")  # fmt: skip
    assert bench.stderr is not None
    assert "starting" in bench.stderr.readline()
    children: list[psutil.Process] = []
    while len(children) < 2:  # the server, and its engine that loads
        children = psutil.Process(bench.pid).children(recursive=True)
    bench.send_signal(told)
    bench.communicate(timeout=60)
    assert bench.returncode == Exit.INTERRUPTED
    assert not list((tmp_path / "tmp").iterdir())
    gone, alive = psutil.wait_procs(children, timeout=20)
    assert gone
    assert not alive
