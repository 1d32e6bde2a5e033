"""From a request to its first token, for a model whose bytes are at the other end of a link.

    python -m benchmarks.remote_start [MODEL.gguf …] [--mbit 400] [--rounds 3] [--prefer wheel]
    python -m benchmarks.remote_start DIRECTORY … --engine vllm [--option enforce_eager=true]

The store is empty at every round. A GGUF file, for llama.cpp, is at an address; a directory of
safetensors, for vLLM or transformers, is a repository of a hub. What can't be had for less is the
time that the bytes need on the link; the rest is what a cold start costs on top: of llama.cpp
judged by a goal, of the others the seconds from the last byte, which is the end of the phase
`fetch`. Options are the model's, over parallel=1 and context=2048. Needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks import grown_gguf
from benchmarks.cold_start import DEFAULT_REF, files_of
from benchmarks.namespaces import SERVER_ADDRESS, Link, link, why_not
from benchmarks.report import RESULTS, Figure, Goal, Report
from benchmarks.spread import spread
from benchmarks.wire import PORT, File, serving
from pilotlight import config
from pilotlight.config import EngineSettings
from pilotlight.engines import environments
from pilotlight.engines.registry import Engines
from pilotlight.errors import EngineMissingError, SourceError
from pilotlight.machine import survey
from pilotlight.store.sources.contents import choose

LLAMACPP = "llamacpp"
APART = ("vllm", "transformers")
"""Engines in environments of their own, which take directories."""

ORIGIN = f"http://{SERVER_ADDRESS}:{PORT}"
OPTIONS = {"parallel": 1, "context": 2048}
LARGE_BYTES = 300 * 10**6
"""From here on a start is judged by its share of the time on the wire, else by its seconds."""


@dataclass(frozen=True, slots=True)
class Start:
    """What is started, whatever its weights: an engine with its settings and a model's options."""

    engine: str
    settings: EngineSettings
    options: Mapping[str, Any]

    def model(self, ref: str) -> dict[str, Any]:
        return {"ref": ref, "engine": self.engine, "options": {**OPTIONS, **self.options}}

    def engines(self) -> dict[str, Any]:
        """The directory too: its default is below the data directory, which is another one."""
        llamacpp = {"prefer": self.settings.llamacpp.prefer}
        return {"directory": str(self.settings.directory), LLAMACPP: llamacpp}

    def build(self) -> str:
        """Raises EngineMissingError with the command that installs it."""
        if self.engine in APART:
            assert self.settings.directory is not None, "config.load gives it its default"
            environments.require(self.settings.directory, self.engine)
        return Engines(self.settings, survey()).get(self.engine).build


@dataclass(frozen=True, slots=True)
class Remote:
    """A model at the other end of the link; its size is that of the files that are fetched."""

    path: Path
    ref: str
    size_bytes: int

    @classmethod
    def of(cls, path: Path) -> Remote:
        """Raises SourceError for a directory that is no model of safetensors."""
        if not path.is_dir():
            return cls(path, f"{ORIGIN}/{path.name}", path.stat().st_size)
        names = [each.relative_to(path).as_posix() for each in path.rglob("*") if each.is_file()]
        chosen = choose(names, str(path)).names
        size_bytes = sum((path / name).stat().st_size for name in chosen)
        return cls(path, "hf:models/checkpoint", size_bytes)


def first_token(wire: Link, remote: Remote, start: Start) -> dict[str, Any]:
    argv = [*wire.client, sys.executable, "-m", "benchmarks.remote_first_token"]
    argv += [json.dumps(start.model(remote.ref)), json.dumps(start.engines())]
    environment = {**os.environ, "HF_ENDPOINT": ORIGIN}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"no first token: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(remote: Remote, start: Start, mbit: int, rounds: int) -> tuple[Figure, dict[str, Any]]:
    file = File(remote.path, remote.size_bytes, "")
    with link(mbit) as wire, serving(wire, file):
        runs = [first_token(wire, remote, start) for _ in range(rounds)]
    name = remote.path.name
    raw = {f"{name}_s": [r["seconds"] for r in runs], f"{name}_phases": [r["phases"] for r in runs]}
    return figure(start.engine, remote.size_bytes, mbit, runs), raw


def figure(engine: str, size_bytes: int, mbit: int, runs: Sequence[Mapping[str, Any]]) -> Figure:
    wire_s = size_bytes * 8 / (mbit * 10**6)
    name = f"{size_bytes // 10**6} MB at {mbit} Mbit/s ({wire_s:.1f} s on the wire)"
    if engine != LLAMACPP:
        after = spread([after_last_byte_s(run) for run in runs])
        return Figure(f"{engine}, {name}: first token after the last byte", "s", after)
    if size_bytes < LARGE_BYTES:
        beyond = spread([run["seconds"] - wire_s for run in runs])
        return Figure(f"{name}: first token after that", "s", beyond, Goal(0.6))
    share = spread([run["seconds"] / wire_s for run in runs])
    return Figure(f"{name}: first token, of that", "x", share, Goal(1.08))


def after_last_byte_s(run: Mapping[str, Any]) -> float:
    """By the client's clock: the moments before the fetch began count as if they came after it.

    Raises RuntimeError where nothing was fetched.
    """
    fetched = [phase for phase in run["phases"] if phase["name"] == "fetch"]
    if not fetched:
        raise RuntimeError(f"nothing was fetched: {run['phases']!r}")
    ended_ms = fetched[0]["start_ms"] + fetched[0]["duration_ms"]
    return float(run["seconds"] - ended_ms / 1000)


def _usual(directory: Path) -> list[Path]:
    """SmolLM2-135M, and a model of 717 MB that talks like it."""
    small, large = files_of(DEFAULT_REF, directory).path, directory / "grown.gguf"
    grown_gguf.write(small, large)
    return [small, large]


def run(paths: Sequence[Path], start: Start, mbit: int, rounds: int) -> Report:
    build = start.build()
    with tempfile.TemporaryDirectory() as name:
        chosen = paths or _usual(Path(name))
        remotes = [Remote.of(path) for path in chosen]
        measured = [measure(remote, start, mbit, rounds) for remote in remotes]
    figures = tuple(each for each, _ in measured)
    raw = {key: value for _, found in measured for key, value in found.items()}
    return Report("remote_start", figures, raw, {start.engine: build})


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.remote_start",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", nargs="*", type=Path, help="GGUF files; else SmolLM2-135M")
    parser.add_argument("--engine", default=LLAMACPP, choices=(LLAMACPP, *APART))
    parser.add_argument(
        "--option", action="append", type=_option, default=[], metavar="NAME=VALUE",
        help="of the model; a value is YAML",
    )  # fmt: skip
    parser.add_argument("--mbit", type=int, default=400, help="of the link, in Mbit/s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prefer", choices=("wheel", "server"), help="of llama.cpp; else wheel")
    parser.add_argument("--output", type=Path, help="JSON; else in benchmarks/results/")
    given = parser.parse_args()
    if problem := _problem(given):
        parser.error(problem)
    reason = why_not()
    if reason is not None:
        print(f"skipped: {reason}")
        return 0
    # Each engine has a report of its own: a run of one costs no other its figures.
    apart = None if given.engine == LLAMACPP else RESULTS / f"remote_start_{given.engine}.json"
    try:
        report = run(given.models, _start(given), given.mbit, given.rounds)
    except (EngineMissingError, SourceError) as error:
        raise SystemExit(f"error: {error.one_line()}") from None
    return report.publish(given.output or apart)


def _start(given: argparse.Namespace) -> Start:
    settings = config.load().engines
    llamacpp = replace(settings.llamacpp, prefer=given.prefer or "wheel")
    return Start(given.engine, replace(settings, llamacpp=llamacpp), dict(given.option))


def _problem(given: argparse.Namespace) -> str | None:
    """What of the command line doesn't go together."""
    if given.engine == LLAMACPP:
        wrong = [path for path in given.models if not path.is_file()]
        return f"{str(wrong[0])!r} is no GGUF file, which llamacpp takes" if wrong else None
    if given.prefer is not None:
        return f"--prefer {given.prefer} chooses a program of llama.cpp, not of {given.engine}"
    if not given.models:
        return f"name a DIRECTORY of safetensors for {given.engine}"
    wrong = [path for path in given.models if not path.is_dir()]
    return f"{str(wrong[0])!r} is no directory, which {given.engine} takes" if wrong else None


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        raise argparse.ArgumentTypeError(f"{value!r} of {name} is no YAML") from None


if __name__ == "__main__":
    raise SystemExit(main())
