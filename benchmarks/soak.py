"""Resident memory of the gateway over many requests: does anything grow for ever?

    python -m benchmarks.soak [--requests 200000] [--step 20000]

Short streams at concurrency 16 with key, metrics and accounting on. The first
step is the settled baseline (pools, metrics and caches are filled by then).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.gateway import fake_gateway
from benchmarks.load import Load, measure_apart
from benchmarks.report import Figure, Goal, Report
from benchmarks.upstream import Server

CONCURRENCY = 16
SHORT_TOKENS = 4


def run(requests: int, step: int) -> Report:
    with (
        tempfile.TemporaryDirectory() as directory,
        fake_gateway(Path(directory)) as server,
    ):
        resident = {}
        for done in range(step, requests + 1, step):
            put(server, step)
            resident[done] = server.program.resident_bytes()
            print(f"{done} requests: {resident[done] / 2**20:.1f} MiB resident", flush=True)
    return report(resident)


def put(server: Server, count: int) -> None:
    load = Load(
        port=server.port,
        key=server.key,
        concurrency=CONCURRENCY,
        requests=count,
        max_tokens=SHORT_TOKENS,
    )
    result = measure_apart(load)
    if result.errors or result.streams != count:
        raise RuntimeError(f"{result.streams} of {count} answered, first {result.errors[:1]}")


def report(resident: dict[int, int]) -> Report:
    first, *_, last = resident
    change = (resident[last] / resident[first] - 1) * 100
    figures = (
        Figure(f"change of resident memory, {first} to {last} requests", "% (±)", abs(change),
               Goal(5)),
        Figure("resident after the first step", "MiB", resident[first] / 2**20),
        Figure("resident at the end", "MiB", resident[last] / 2**20),
    )  # fmt: skip
    return Report("soak", figures, {"resident_bytes": {str(n): b for n, b in resident.items()}})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--step", type=int, default=20_000)
    parser.add_argument("--output", type=Path, help="JSON; else benchmarks/results/soak.json")
    given = parser.parse_args()
    if given.requests < 2 * given.step:
        parser.error("--requests must be at least twice --step")
    return run(given.requests, given.step).publish(given.output)


if __name__ == "__main__":
    raise SystemExit(main())
