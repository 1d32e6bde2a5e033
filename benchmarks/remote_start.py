"""From a request to its first token, for a model whose bytes are at the other end of a link.

    python -m benchmarks.remote_start [MODEL.gguf …] [--mbit 400] [--rounds 3] [--prefer wheel]

The store is empty at every round. What can't be had for less is the time that the file's bytes
need on the link; the rest is what a cold start costs on top. Needs root.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.cold_start import DEFAULT_REF, files_of
from benchmarks.namespaces import SERVER_ADDRESS, Link, link, why_not
from benchmarks.report import Figure, Goal, Report
from benchmarks.spread import spread
from benchmarks.wire import PORT, File, serving

LARGE_BYTES = 300 * 10**6
"""From here on a start is judged by its share of the time on the wire, else by its seconds."""


def first_token(wire: Link, file: File, prefer: str) -> dict[str, Any]:
    url = f"http://{SERVER_ADDRESS}:{PORT}/{file.path.name}"
    argv = [*wire.client, sys.executable, "-m", "benchmarks.remote_first_token", url, prefer]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"no first token: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(path: Path, mbit: int, rounds: int, prefer: str) -> tuple[Figure, dict[str, Any]]:
    file = File(path, path.stat().st_size, "")
    with link(mbit) as wire, serving(wire, file):
        runs = [first_token(wire, file, prefer) for _ in range(rounds)]
    taken = [run["seconds"] for run in runs]
    wire_s = file.size_bytes * 8 / (mbit * 10**6)
    name = f"{file.size_bytes // 10**6} MB at {mbit} Mbit/s ({wire_s:.1f} s on the wire)"
    if file.size_bytes < LARGE_BYTES:
        beyond = spread([each - wire_s for each in taken])
        figure = Figure(f"{name}: first token after that", "s", beyond, Goal(0.6))
    else:
        share = spread([each / wire_s for each in taken])
        figure = Figure(f"{name}: first token, of that", "x", share, Goal(1.08))
    return figure, {f"{path.name}_s": taken, f"{path.name}_phases": [r["phases"] for r in runs]}


def run(paths: list[Path], mbit: int, rounds: int, prefer: str) -> Report:
    with tempfile.TemporaryDirectory() as name:
        chosen = paths or [files_of(DEFAULT_REF, Path(name)).path]
        measured = [measure(path, mbit, rounds, prefer) for path in chosen]
    figures = tuple(figure for figure, _ in measured)
    raw = {key: value for _, found in measured for key, value in found.items()}
    return Report("remote_start", figures, raw, {})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.remote_start", description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, help="GGUF files; else SmolLM2-135M")
    parser.add_argument("--mbit", type=int, default=400, help="of the link, in Mbit/s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prefer", default="wheel", choices=("wheel", "server"))
    parser.add_argument("--output", type=Path, help="JSON; else benchmarks/results/")
    given = parser.parse_args()
    reason = why_not()
    if reason is not None:
        print(f"skipped: {reason}")
        return 0
    return run(given.models, given.mbit, given.rounds, given.prefer).publish(given.output)


if __name__ == "__main__":
    raise SystemExit(main())
