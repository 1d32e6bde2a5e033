"""Whether the load generator keeps up on one core, and whether its clock tells the truth.

    python -m benchmarks.generator [--rounds 5] [--seconds 8] [--rate 2000]

Poisson arrivals of streamed requests of 16 tokens, each a chunk and a write of its own, against
the fake engine. Generator and engine have a core each. At the full rate the lag is what counts:
from when a request was due to when the generator turned to it. At half of it the engine notes when
each request came and when its first token went, on the same clock; what the generator's time to
the first token adds to that is the way there and back, and the generator's own error.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.program import Program, free_port, running
from benchmarks.report import Figure, Goal, Report
from benchmarks.spread import quantile, spread
from pilotlight.bench.ask import Ask
from pilotlight.bench.load import Load
from pilotlight.bench.record import Record
from pilotlight.bench.run import Run, run_here
from pilotlight.bench.target import Target

TOKENS = 16
RATE = 2000.0


@contextlib.contextmanager
def engine(directory: Path, core: int) -> Iterator[tuple[Program, int]]:
    """Slots are no limit."""
    port = free_port()
    options = json.dumps({"words": TOKENS, "parallel": 4096, "ram_bytes": 0})
    argv = [sys.executable, "-m", "benchmarks.stamped_engine", "--port", str(port)]
    with running([*argv, "--options", options], directory / "engine.log") as program:
        os.sched_setaffinity(program.pid, {core})
        program.await_answer(port, "/health")
        yield program, port


def stage(port: int, rate: float, seconds: float, seed: int) -> Run:
    asks = (
        Ask(content="Tell me a story.", max_tokens=TOKENS, fields={"user": str(number)})
        for number in count()
    )
    target = Target(url=f"http://127.0.0.1:{port}", model="fake")
    load = Load(kind="poisson", requests_per_s=rate, duration_s=seconds, seed=seed)
    return run_here(target, asks, load)


def stamps(port: int) -> Mapping[str, Sequence[float]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/stamps")
        found: Mapping[str, Sequence[float]] = json.loads(connection.getresponse().read())
        return found
    finally:
        connection.close()


def check(found: Run) -> None:
    """A fast wrong answer is no result. Raises RuntimeError."""
    wrong = [each for each in found.records if not each.ok or each.output_tokens != TOKENS]
    if wrong or not found.records:
        raise RuntimeError(f"{len(wrong)} of {len(found.records)} answers are wrong: {wrong[:1]}")


@dataclass(slots=True)
class Rounds:
    """A list has an entry for each round."""

    sent_per_s: list[float] = field(default_factory=list)
    drained: list[float] = field(default_factory=list)
    lag_p50_ms: list[float] = field(default_factory=list)
    lag_p99_ms: list[float] = field(default_factory=list)
    lag_max_ms: list[float] = field(default_factory=list)
    cpu_share: list[float] = field(default_factory=list)
    engine_share: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    added_p50_ms: list[float] = field(default_factory=list)
    added_p95_ms: list[float] = field(default_factory=list)
    added_p99_ms: list[float] = field(default_factory=list)

    def full(self, found: Run, engine_s: float) -> None:
        check(found)
        health = found.health
        self.sent_per_s.append(len(found.records) / found.sending_s)
        self.drained.append(found.sending_s / found.wall_s)
        self.lag_p50_ms.append(health.lag_p50_ms or 0.0)
        self.lag_p99_ms.append(health.lag_p99_ms or 0.0)
        self.lag_max_ms.append(health.lag_max_ms or 0.0)
        self.cpu_share.append(health.cpu_share or 0.0)
        self.engine_share.append(engine_s / found.wall_s)
        self.reads.append(sum(len(each.gaps_ms) + 1 for each in found.records) / len(found.records))

    def half(self, found: Run, told: Mapping[str, Sequence[float]]) -> None:
        check(found)
        added = [difference_ms(each, told[str(each.index)]) for each in found.records]
        self.added_p50_ms.append(quantile(added, 0.5))
        self.added_p95_ms.append(quantile(added, 0.95))
        self.added_p99_ms.append(quantile(added, 0.99))


def difference_ms(record: Record, told: Sequence[float]) -> float:
    came_s, went_s = told
    return (record.ttft_from_send_ms or 0.0) - (went_s - came_s) * 1000


def measure(rounds: int, seconds: float, rate: float) -> Report:
    cores = sorted(os.sched_getaffinity(0))
    kept = Rounds()
    os.sched_setaffinity(0, {cores[-1]})
    try:
        for number in range(rounds):
            one_round(kept, cores[0], number, seconds, rate)
            print(f"round {number + 1} of {rounds} done", flush=True)
    finally:
        os.sched_setaffinity(0, cores)
    return report(kept, rate)


def one_round(kept: Rounds, core: int, number: int, seconds: float, rate: float) -> None:
    """The engine starts anew for each half, so that neither pays for what the other left."""
    with tempfile.TemporaryDirectory() as directory:
        with engine(Path(directory), core) as (program, port):
            before_s = program.cpu_s()
            found = stage(port, rate, seconds, number)
            kept.full(found, program.cpu_s() - before_s)
        with engine(Path(directory), core) as (_, port):
            kept.half(stage(port, rate / 2, seconds, number), stamps(port))


def report(kept: Rounds, rate: float) -> Report:
    full, half = f"{rate:g}/s", f"{rate / 2:g}/s"
    few = Goal(1.0)
    shown: list[tuple[str, str, list[float], Goal | None]] = [
        (f"{full}: p99 dispatch lag", "ms", kept.lag_p99_ms, Goal(5.0)),
        (f"{full}: time of sending in the whole run", "", kept.drained, Goal(0.99, at_least=True)),
        (f"{half}: first token, generator's minus engine's, p50", "ms", kept.added_p50_ms, few),
        (f"{half}: first token, generator's minus engine's, p95", "ms", kept.added_p95_ms, few),
        (f"{half}: first token, generator's minus engine's, p99", "ms", kept.added_p99_ms, None),
        (f"{full}: sent", "/s", kept.sent_per_s, None),
        (f"{full}: p50 dispatch lag", "ms", kept.lag_p50_ms, None),
        (f"{full}: longest dispatch lag", "ms", kept.lag_max_ms, None),
        (f"{full}: the generator's share of its core", "", kept.cpu_share, None),
        (f"{full}: the engine's share of its core", "", kept.engine_share, None),
        (f"{full}: reads with content, by answer of {TOKENS} chunks", "", kept.reads, None),
    ]
    figures = tuple(Figure(name, unit, spread(values), goal) for name, unit, values, goal in shown)
    raw: dict[str, Any] = {name: getattr(kept, name) for name in Rounds.__slots__}
    return Report("generator", figures, raw)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generator", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    return measure(given.rounds, given.seconds, given.rate).publish(given.out)


if __name__ == "__main__":
    raise SystemExit(main())
