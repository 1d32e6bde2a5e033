"""How long a plan takes: reading the catalog, a whole search, and the command's own help.

    python -m benchmarks.plan_search [--rounds 5]

Each round is a process that has planned nothing before, as the command line is. A search is of one
model over all quantizations, engines, hardware and platforms.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Figure, Goal, Report
from benchmarks.spread import spread

MODELS = ("llama-3.1-8b", "llama-3.3-70b", "deepseek-v3")
CATALOG = (
    "import time; from pilotlight import catalog; began = time.perf_counter(); catalog.load(); "
    "print(time.perf_counter() - began)"
)
CLI = [sys.executable, "-m", "pilotlight.cli"]


def seconds_of(argv: Sequence[str]) -> float:
    began_s = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True)
    return time.perf_counter() - began_s


def catalog_s() -> float:
    done = subprocess.run([sys.executable, "-c", CATALOG], check=True, capture_output=True)
    return float(done.stdout)


def run(rounds: int) -> Report:
    with tempfile.TemporaryDirectory() as name:
        plan = [*CLI, "plan", "--data-dir", name]
        seconds_of([*plan, MODELS[0]])  # compiles what is imported
        searches = {
            model: [seconds_of([*plan, model, "--rps", "1"]) for _ in range(rounds)]
            for model in MODELS
        }
    helps = [seconds_of([*CLI, "plan", "--help"]) for _ in range(rounds)]
    reads = [catalog_s() * 1000 for _ in range(rounds)]
    figures = [
        Figure(f"plan {model}, the whole command", "s", spread(times), Goal(2.0))
        for model, times in searches.items()
    ]
    figures.append(Figure("plan --help", "s", spread(helps), Goal(0.2)))
    figures.append(Figure("reading the catalog", "ms", spread(reads)))
    return Report("plan_search", tuple(figures), {"search_s": searches, "help_s": helps})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan_search", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, help="JSON; else benchmarks/results/")
    given = parser.parse_args()
    return run(given.rounds).publish(given.output)


if __name__ == "__main__":
    raise SystemExit(main())
