"""Fifty thousand requests with cancels and kills: does the ledger have what the engines counted?

    python -m benchmarks.ledger [--requests 50000] [--engine-kills 40] [--gateway-kills 10]

Real processes and sockets: the gateway as `serve` runs it, engines that write down what they count
before they say it, and clients of which some leave half-way. Meanwhile engines and the gateway
itself are killed (SIGKILL). Afterwards each request is looked up by its id in all three: what its
client saw, what the ledger has, and what its engine counted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks import counting_engine
from benchmarks.asker import Asked, Asker
from benchmarks.counting_engine import Counted
from benchmarks.program import Program, free_port, running
from benchmarks.report import Figure, Goal, Report
from pilotlight.gateway.keys import KeyStore

CLIENTS = 32
SHARE_LEFT = 0.1

Row = Mapping[str, Any]


@dataclass
class Stage:
    """The gateway and its data, started again after each kill."""

    directory: Path
    port: int = field(default_factory=free_port)
    starts: int = 0

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def write(self, token_delay_ms: float) -> tuple[str, ...]:
        """The configuration; returns two keys."""
        file = self.directory / "model"
        file.write_bytes(b"no weights")
        common = {
            "ref": f"file:{file}", "engine": "fake", "min": 1, "keep_alive": "forever",
            "queue": 4096, "max_crashes": 1000,
        }  # fmt: skip
        options = {"token_delay_ms": token_delay_ms, "parallel": CLIENTS}
        tuned = {"lora": "live", **options}
        models = {
            "asked": {**common, "options": {**options, "counts": False}},
            "always": {**common, "options": tuned, "adapters": {"tuned": f"file:{file}"}},
        }
        ledger = {"usd_per_hour": 0.1, "rated_w": 100.0, "keep_requests": "forever"}
        tree = {
            "port": self.port, "data_dir": str(self.data), "models": models, "ledger": ledger,
            "log_level": "warning", "drain": "2s",
        }  # fmt: skip
        (self.directory / "config.yaml").write_text(yaml.safe_dump(tree))
        (self.directory / "counts").mkdir()
        keys = KeyStore(self.data / "keys.json")
        return tuple(keys.create(name, "user")[1] for name in ("one", "two"))

    @contextlib.contextmanager
    def gateway(self) -> Iterator[Program]:
        self.starts += 1
        argv = (
            sys.executable, "-m", "benchmarks.counting_gateway",
            str(self.directory / "config.yaml"),
        )  # fmt: skip
        log = self.directory / f"gateway-{self.starts}.log"
        counts = {counting_engine.DIRECTORY_VARIABLE: str(self.directory / "counts")}
        with running(argv, log, counts) as program:
            program.await_answer(self.port, "/ready")
            yield program

    def rows(self) -> list[dict[str, Any]]:
        with contextlib.closing(sqlite3.connect(self.data / "ledger/ledger.sqlite3")) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute("SELECT * FROM requests")]

    def cost(self, by: str) -> dict[str, Any]:
        """As the command tells it."""
        argv = (
            sys.executable, "-m", "pilotlight.cli", "cost", "--by", by, "--since", "forever",
            "--json", "--data-dir", str(self.data),
        )  # fmt: skip
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=True, timeout=60)
        tree: dict[str, Any] = json.loads(done.stdout)
        return tree


@dataclass
class Trial:
    """Asks, kills and asks on."""

    stage: Stage
    keys: tuple[str, ...]
    requests: int
    draw: random.Random
    asked: list[Asked] = field(default_factory=list)
    begun: int = 0

    def take(self) -> int | None:
        if self.begun == self.requests:
            return None
        self.begun += 1
        return self.begun

    async def run(self, engine_kills: int, gateway_kills: int) -> None:
        moments = self._moments(engine_kills, gateway_kills)
        asking = asyncio.ensure_future(self._ask())
        while moments:
            with self.stage.gateway() as program:
                await self._kill_engines(program, moments, asking)
                if moments:
                    moments.pop(0)
                    os.killpg(program.pid, signal.SIGKILL)
                else:
                    await asking
        if not asking.done():
            with self.stage.gateway():
                await asking
        self.asked = asking.result()

    def _moments(self, engine_kills: int, gateway_kills: int) -> list[tuple[int, str]]:
        """After how many requests whom."""
        kinds = ["engine"] * engine_kills + ["gateway"] * gateway_kills
        self.draw.shuffle(kinds)
        gap = self.requests // (len(kinds) + 1)
        return [(gap * (place + 1), kind) for place, kind in enumerate(kinds)]

    async def _kill_engines(
        self, program: Program, moments: list[tuple[int, str]], asking: asyncio.Future[Any]
    ) -> None:
        """Until the gateway is next, or nobody."""
        while moments:
            after, kind = moments[0]
            while self.begun < after and not asking.done():
                await asyncio.sleep(0.01)
            if kind == "gateway":
                return
            moments.pop(0)
            if engines := psutil.Process(program.pid).children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    self.draw.choice(engines).kill()

    async def _ask(self) -> list[Asked]:
        askers = [
            Asker(
                self.stage.port, self.keys, self.take, random.Random(self.draw.random()), SHARE_LEFT
            )
            for _ in range(CLIENTS)
        ]
        made = await asyncio.gather(*(asker.run() for asker in askers))
        return [asked for each in made for asked in each]


@dataclass(frozen=True, slots=True)
class Findings:
    """Counts of what must not be, and of what was."""

    requests: int
    whole: int
    left: int
    rows: int
    engine_counted: int
    unread: int
    """Answers that their engine counted and whose end the gateway never read."""

    again: int
    """Answers that an engine gave more than once: whose work was done twice."""

    twice: int
    missing: int
    """Whole answers that aren't in the ledger as answered and counted by the engine."""

    unequal: int
    """Rows that differ from what their engine counted."""

    invented: int
    """Rows with a count that no engine made, or of more events than were asked for."""

    short: int
    """Rows of broken answers with fewer events than their client saw."""

    sums_differ: int
    """Of the command's sums by key, model, adapter, replica and day."""

    @property
    def wrong(self) -> int:
        parts = (self.again, self.twice, self.missing, self.unequal, self.invented, self.short)
        return sum(parts) + self.sums_differ


def compare(
    asked: Sequence[Asked],
    rows: Sequence[Row],
    counted: Mapping[str, Counted],
    again: int,
    costs: Mapping[str, Mapping[str, Any]],
) -> Findings:
    by_id = {row["request"]: row for row in rows}
    seen = {each.id: each for each in asked}
    told = [row for row in rows if row["counted"] == "engine"]
    broken = [row for row in rows if row["counted"] == "events"]
    whole = [each for each in asked if each.whole]
    return Findings(
        requests=len(asked),
        whole=len(whole),
        left=sum(each.left for each in asked),
        rows=len(rows),
        engine_counted=len(told),
        unread=len(counted.keys() - {row["request"] for row in told}),
        again=again,
        twice=len(rows) - len(by_id),
        missing=sum(not _is_answered(by_id.get(each.id)) for each in whole),
        unequal=sum(_differs(row, counted.get(row["request"])) for row in told),
        invented=sum(row["request"] not in seen for row in rows)
        + sum(row["completion_tokens"] > seen[row["request"]].max_tokens for row in broken),
        short=sum(row["completion_tokens"] < seen[row["request"]].events for row in broken),
        sums_differ=sum(_sums(cost) != _true_sums(told) for cost in costs.values()),
    )


def _is_answered(row: Row | None) -> bool:
    return row is not None and (row["outcome"], row["counted"]) == ("answered", "engine")


def _differs(row: Row, counted: Counted | None) -> bool:
    if counted is None:
        return True
    return (row["prompt_tokens"], row["completion_tokens"]) != (
        counted.prompt_tokens,
        counted.completion_tokens,
    )


def _sums(cost: Mapping[str, Any]) -> tuple[int, int]:
    rows = cost["rows"]
    return sum(r["prompt_tokens"] for r in rows), sum(r["completion_tokens"] for r in rows)


def _true_sums(told: Sequence[Row]) -> tuple[int, int]:
    return sum(r["prompt_tokens"] for r in told), sum(r["completion_tokens"] for r in told)


BY = ("key", "model", "adapter", "replica", "day")


def measure(
    directory: Path, requests: int, engine_kills: int, gateway_kills: int, token_delay_ms: float
) -> tuple[Findings, float]:
    """Runs it all; also returns the seconds that the asking took."""
    stage = Stage(directory)
    trial = Trial(stage, stage.write(token_delay_ms), requests, random.Random(0))
    began = time.perf_counter()
    asyncio.run(trial.run(engine_kills, gateway_kills))
    took_s = time.perf_counter() - began
    counted, again = counting_engine.read(directory / "counts")
    costs = {by: stage.cost(by) for by in BY}
    return compare(trial.asked, stage.rows(), counted, again, costs), took_s


def report(found: Findings, took_s: float) -> Report:
    goal = Goal(0)
    figures = (
        Figure("requests", "", found.requests),
        Figure("answers that their clients got whole", "", found.whole),
        Figure("clients that left half-way", "", found.left),
        Figure("entries in the ledger", "", found.rows),
        Figure("of them counted by their engine", "", found.engine_counted),
        Figure("counted by an engine, but broken off before the gateway read it", "", found.unread),
        Figure("whole answers that the ledger lacks", "", found.missing, goal),
        Figure("entries that differ from their engine's count", "", found.unequal, goal),
        Figure("requests that engines answered twice", "", found.again, goal),
        Figure("entries written twice", "", found.twice, goal),
        Figure("entries that nobody asked for", "", found.invented, goal),
        Figure("broken answers with fewer events than their client saw", "", found.short, goal),
        Figure("sums of the command that differ", "", found.sums_differ, goal),
        Figure("requests a second, kills and restarts included", "/s", found.requests / took_s),
    )
    return Report("ledger", figures)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger", description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--engine-kills", type=int, default=40)
    parser.add_argument("--gateway-kills", type=int, default=10)
    parser.add_argument("--token-delay-ms", type=float, default=1.0)
    parser.add_argument("--output", type=Path, help="JSON; else benchmarks/results/ledger.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found, took_s = measure(
            Path(name), given.requests, given.engine_kills, given.gateway_kills,
            given.token_delay_ms,
        )  # fmt: skip
    return report(found, took_s).publish(given.output)


if __name__ == "__main__":
    raise SystemExit(main())
