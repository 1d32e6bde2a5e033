"""What each engine goes through: some starts from zero, then rounds at every concurrency."""

from __future__ import annotations

import datetime
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import real_model
from benchmarks.contender import Contender, options
from benchmarks.first_token import ask
from benchmarks.gateway import gateway
from benchmarks.load import Load, Result, measure_apart
from benchmarks.side_by_side import Measured
from benchmarks.upstream import Server
from pilotlight.config import EngineSettings
from pilotlight.core import ModelFiles
from pilotlight.engines.base import Engine

MODEL = "side-by-side"
LOAD_TIMEOUT = "1200s"
"""vLLM compiles at its first start."""


@dataclass(frozen=True, slots=True)
class Course:
    """What each engine goes through."""

    concurrency: tuple[int, ...]
    rounds: int
    seconds: float
    """Of one arm in one round; answers under way at its end are finished and counted."""

    starts: int
    slots: int
    context: int
    max_tokens: int


def measure(
    contender: Contender, engine: Engine, files: ModelFiles, base: EngineSettings, course: Course
) -> Measured:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        seat = directory / "seat.json"
        command = (sys.executable, "-m", "benchmarks.seat_gateway", str(seat))
        given = options(engine, files, course.slots, course.context)
        models = {MODEL: _model(contender, files, given)}
        engines = _engines(contender.settings(base))
        with gateway(directory, models, command, engines) as server:
            _require_build(server, engine.build)
            starts_s = [start_s(server) for _ in range(course.starts + 1)]
            print(f"{contender.name}: seconds to start {starts_s}", flush=True)
            place = json.loads(seat.read_text())
            speeds = {str(each): speed(server, place, each, course) for each in course.concurrency}
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Measured(contender.title, engine.build, date, starts_s, speeds)


def _model(contender: Contender, files: ModelFiles, given: Mapping[str, Any]) -> dict[str, Any]:
    patience = {"keep_alive": "forever", "hold": LOAD_TIMEOUT, "load_timeout": LOAD_TIMEOUT}
    return {
        "ref": f"file:{files.path}", "engine": contender.kind, "options": dict(given), **patience,
    }  # fmt: skip


def _engines(settings: EngineSettings) -> dict[str, Any]:
    """As a configuration file has it."""
    llamacpp = {"prefer": settings.llamacpp.prefer}
    if settings.llamacpp.server is not None:
        llamacpp["server"] = str(settings.llamacpp.server)
    return {"directory": str(settings.directory), "llamacpp": llamacpp}


def _require_build(server: Server, build: str) -> None:
    """A variable of the caller's may have chosen another program for the gateway."""
    [model] = ask(server.port, server.key or "", "GET", "/pilotlight/v1/models")["models"]
    if model["build"] != build:
        raise RuntimeError(f"the gateway runs {model['build']!r}, expected {build!r}")


def start_s(server: Server) -> float:
    """Stop the model, ask for an answer, and read how long the start took in the gateway's trace.

    From the claim of the replica to the token with which its engine proved itself.
    """
    key = server.key or ""
    ask(server.port, key, "POST", "/pilotlight/v1/stop", {"model": MODEL})
    while ask(server.port, key, "GET", "/pilotlight/v1/ps")["models"][0]["replicas"]:
        time.sleep(0.05)
    load = Load(port=server.port, key=key, model=MODEL, requests=1, max_tokens=8)
    _require_answers(measure_apart(load))
    traces = ask(server.port, key, "GET", "/pilotlight/v1/cold-starts")["cold_starts"]
    phases = {phase["name"]: phase for phase in traces[-1]["phases"]}
    proved_ms = phases["warm_up"]["start_ms"] + phases["warm_up"]["duration_ms"]
    return float(proved_ms - phases["claim"]["start_ms"]) / 1000


def speed(
    server: Server, place: Mapping[str, str], concurrency: int, course: Course
) -> dict[str, list[float]]:
    """Output tokens/s of each round, by arm."""
    common: dict[str, Any] = {
        "model": MODEL,
        "concurrency": concurrency,
        "seconds": course.seconds,
        "max_tokens": course.max_tokens,
        "ignore_eos": True,
    }
    arms = {
        "direct": Load(socket=place["socket"], key=place["secret"], **common),
        "pilotlight": Load(port=server.port, key=server.key, **common),
    }
    print(f"concurrency {concurrency}", flush=True)
    for load in arms.values():
        _require_answers(measure_apart(replace(load, seconds=None, requests=concurrency)))
    results = real_model.measure(arms, course.rounds)
    _require_equal_lengths(results, course.max_tokens)
    return {arm: [result.tokens_per_s for result in rounds] for arm, rounds in results.items()}


def _require_answers(result: Result) -> None:
    if result.errors or not result.tokens:
        raise RuntimeError(f"{len(result.errors)} errors: {result.errors[:1]}")


def _require_equal_lengths(results: Mapping[str, Sequence[Result]], max_tokens: int) -> None:
    for arm, rounds in results.items():
        for result in rounds:
            if result.tokens != result.streams * max_tokens:
                raise RuntimeError(
                    f"{arm}: {result.streams} answers have {result.tokens} tokens, "
                    f"expected {max_tokens} each"
                )
