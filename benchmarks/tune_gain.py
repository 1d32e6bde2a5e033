"""What `pilotlight tune` gains over llama-server as it runs by itself.

    python -m benchmarks.tune_gain --server LLAMA_SERVER [--model smollm2-135m llama-3.2-1b]
        [--users 16] [--ttft 1000 --tpot 100] [--budget 20m] [--rounds 5]

The search runs as a user runs it, on the same llama-server. What it chose is then served by
Pilotlight and measured in turns with `llama-server --model FILE` and nothing else: goodput with
the same users, prompts and service level. The search's own comparison with Pilotlight's default
is shown beside. The larger model has its true shape and random weights around the small one's
tokenizer: as large and as fast, and its answers are noise of the length asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import grown_gguf
from benchmarks.program import free_port, running
from benchmarks.real_model import DEFAULT_REF
from benchmarks.report import Figure, Goal, Report
from benchmarks.spread import Spread, spread
from pilotlight.bench.load import Load
from pilotlight.bench.measure import measure, target_of
from pilotlight.bench.slo import Slo
from pilotlight.bench.subjects import Ground, Recipe, Subject, serving
from pilotlight.bench.subjects.asking import Endpoint, asked
from pilotlight.bench.subjects.endpoint import described
from pilotlight.bench.workloads.registry import prepare
from pilotlight.bench.workloads.workload import Workload
from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.errors import ServerUnreachableError
from pilotlight.store.store import Store
from pilotlight.tune.duel import ratio
from pilotlight.tune.evidence import Evidence
from pilotlight.tune.measured import outcome
from pilotlight.tune.trial import Outcome

REAL, SHAPED = "smollm2-135m", "llama-3.2-1b"
WORKLOAD = "distributed:input=uniform(32,160),output=uniform(32,96)"
READY_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What stays the same for both sides."""

    server: Path
    users: int
    slo: Slo
    workload: str
    budget: str
    trial: str
    rounds: int
    seconds: float
    directory: Path


def search(asked_for: Asked, name: str, path: Path) -> Evidence:
    """The command as a user types it."""
    config = asked_for.directory / "server.yaml"
    config.write_text(json.dumps({"engines": {"llamacpp": {"server": str(asked_for.server)}}}))
    report = asked_for.directory / f"{name}.json"
    limits = {"--ttft": asked_for.slo.ttft_ms, "--tpot": asked_for.slo.tpot_ms}
    given = [word for flag, ms in limits.items() if ms for word in (flag, str(ms))]
    argv = [
        sys.executable, "-m", "pilotlight.cli", "tune", str(path), "--config", str(config),
        "--concurrency", str(asked_for.users), "--workload", asked_for.workload, *given,
        "--share", str(100 * asked_for.slo.share), "--budget", asked_for.budget,
        "--trial", asked_for.trial, "--report", str(report), "--json",
    ]  # fmt: skip
    found = subprocess.run(argv, check=True, stdout=subprocess.PIPE)
    return msgspec.json.decode(found.stdout, type=Evidence)


@contextlib.contextmanager
def by_itself(asked_for: Asked, path: Path) -> Iterator[Subject]:
    """`llama-server --model FILE`: every choice is its own."""
    port = free_port()
    argv = (str(asked_for.server), "--model", str(path), "--host", "127.0.0.1", "--port", str(port))
    with running(argv, asked_for.directory / "llama-server.log"):
        url = f"http://127.0.0.1:{port}"
        deadline_s = time.monotonic() + READY_S
        while not healthy(url):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"llama-server isn't ready after {READY_S:.0f} s")
            time.sleep(0.1)
        yield described(url, name="llama-server")


def healthy(url: str) -> bool:
    """Nobody listens before the model is being loaded."""
    try:
        return asked(Endpoint(url), "/health").get("status") == "ok"
    except ServerUnreachableError:
        return False


@contextlib.contextmanager
def tuned(asked_for: Asked, found: Evidence) -> Iterator[Subject]:
    assert found.verdict is not None
    chosen = found.verdict.chosen
    recipe = Recipe(
        name="tuned",
        ref=chosen.ref,
        engine=chosen.engine,
        options=chosen.options,
        engines={"llamacpp": {"server": str(asked_for.server)}},
    )
    place = asked_for.directory
    ground = Ground(directory=place, store=place / "store", engines=place / "engines")
    with serving(recipe, ground) as subject:
        yield subject


def one_round(asked_for: Asked, subject: Subject, number: int, warmup_s: float) -> Outcome:
    load = Load(
        kind="closed",
        concurrency=asked_for.users,
        duration_s=asked_for.seconds + warmup_s,
        warmup_requests=asked_for.users,
        seed=number,
    )
    workload = prepared(asked_for, subject)
    began_s = time.monotonic()
    measured = measure(subject, workload, load, asked_for.slo)
    wall_s = time.monotonic() - began_s
    return outcome(measured, asked_for.slo, wall_s=wall_s, started=True)


def prepared(asked_for: Asked, subject: Subject) -> Workload:
    return asyncio.run(prepare(asked_for.workload, target=target_of(subject), seed=0))


def compare(asked_for: Asked, found: Evidence, path: Path) -> tuple[list[Outcome], list[Outcome]]:
    """Rounds of both by turns: what it chose, and llama-server by itself."""
    ours: list[Outcome] = []
    theirs: list[Outcome] = []
    warmup_s = asked_for.seconds / 2
    for number in range(asked_for.rounds):
        sides = [(theirs, by_itself(asked_for, path)), (ours, tuned(asked_for, found))]
        for outcomes, side in sides if number % 2 == 0 else reversed(sides):
            with side as subject:
                outcomes.append(one_round(asked_for, subject, number, warmup_s))
        print(f"round {number}: {ours[-1]}\n         {theirs[-1]}", file=sys.stderr, flush=True)
    return ours, theirs


def figures(name: str, found: Evidence, sides: tuple[list[Outcome], ...]) -> Iterator[Figure]:
    ours, theirs = sides
    for side, outcomes in (("tuned", ours), ("llama-server", theirs)):
        goodput = spread([each.goodput_per_s for each in outcomes])
        tokens = spread([each.output_tokens_per_s for each in outcomes])
        yield Figure(f"{name}: goodput, {side}", "requests/s", goodput)
        yield Figure(f"{name}: output, {side}", "tokens/s", tokens)
    gain = ratio([o.goodput_per_s for o in ours], [o.goodput_per_s for o in theirs])
    if gain is not None:
        shown = Spread(gain.median, gain.low, gain.high, len(ours))
        goal = Goal(1.3, at_least=True)
        yield Figure(f"{name}: goodput over llama-server's defaults", "times", shown, goal)
    assert found.verdict is not None
    own = found.verdict.duel.ratio if found.verdict.duel else None
    if own is not None:
        rounds = len(found.verdict.duel.best.outcomes) if found.verdict.duel else 0
        shown = Spread(own.median, own.low, own.high, rounds)
        yield Figure(f"{name}: goodput over Pilotlight's defaults", "times", shown)


def model_file(name: str, directory: Path) -> Path:
    real = asyncio.run(
        Store(directory / "store", StoreSettings()).resolve(ModelRef.parse(DEFAULT_REF))
    ).path
    if name == REAL:
        return real
    path = directory / f"{name}.gguf"
    grown_gguf.write(real, path, grown_gguf.LLAMA_1B, "Q4_0")
    return path


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tune_gain", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--server", type=Path, required=True, help="the llama-server")
    parser.add_argument("--model", nargs="+", choices=(REAL, SHAPED), default=(REAL, SHAPED))
    parser.add_argument("--users", type=int, default=16)
    parser.add_argument("--ttft", type=float, default=1000.0, help="ms; 0: no limit")
    parser.add_argument("--tpot", type=float, default=100.0, help="ms; 0: no limit")
    parser.add_argument("--workload", default=WORKLOAD)
    parser.add_argument("--budget", default="20m")
    parser.add_argument("--trial", default="20s")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each round")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def main() -> int:
    args = parsed()
    lines: list[Figure] = []
    raw: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="tune-gain-") as directory:
        asked_for = Asked(
            server=args.server.absolute(),
            users=args.users,
            slo=Slo(ttft_ms=args.ttft or None, tpot_ms=args.tpot or None),
            workload=args.workload,
            budget=args.budget,
            trial=args.trial,
            rounds=args.rounds,
            seconds=args.seconds,
            directory=Path(directory),
        )
        for name in args.model:
            path = model_file(name, Path(directory))
            found = search(asked_for, name, path)
            sides = compare(asked_for, found, path)
            lines += figures(name, found, sides)
            raw[name] = msgspec.to_builtins({
                "evidence": found, "tuned": sides[0], "llama-server": sides[1],
            })  # fmt: skip
    return Report("tune_gain", tuple(lines), raw).publish(args.out)


if __name__ == "__main__":
    raise SystemExit(main())
