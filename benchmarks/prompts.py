"""The first token under a long system prompt after a load: its state restored, or read anew.

    python -m benchmarks.prompts [MODEL.gguf] [--rounds 6] [--prefer wheel] [--rules 50]

Both arms start the engine's own process, load the model, whose file is in the page cache,
and make a first token as a replica does; then comes one request with a system prompt of
about 20 tokens a rule. They take turns. Of the restored arm's time to the first token two
figures are given: as its client sees it, and with the restore added, which the load pays.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.cold_start import DEFAULT_REF, files_of
from benchmarks.first_token import has_token
from benchmarks.report import Figure, Goal, Report
from benchmarks.spread import ratio, spread
from pilotlight.config import EngineSettings, LlamacppSettings
from pilotlight.core import ModelFiles, Operation
from pilotlight.engines.base import EngineProcess, ModelJob, SystemPrompts
from pilotlight.engines.llamacpp.engine import LlamacppEngine
from pilotlight.engines.registry import Engines
from pilotlight.fleet.local import LocalFleet
from pilotlight.machine import survey

MODEL = "prompts"
OPTIONS = {"parallel": 4, "context": 4096}


def system_prompt(rules: int) -> str:
    """Numbers make every rule another one, so that no part of it repeats."""
    return " ".join(
        f"Rule {number}: be kind, precise and brief, and never repeat rule {number - 1}."
        for number in range(1, rules + 1)
    )


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds; `restored` tokens came from disk and `reused` ones weren't read again."""

    recall_s: float
    first_token_s: float
    restored: int
    reused: int


class Arm:
    """An engine process of its own for each round."""

    def __init__(self, engine: LlamacppEngine, job: ModelJob, prompt: str, logs: Path) -> None:
        self._engine = engine
        self._job = job
        self._prompt = prompt
        self._logs = logs

    async def measure(self) -> Round:
        fleet = LocalFleet(self._logs)
        try:
            command = self._engine.command(fleet.seat("prompts"), self._job)
            process = await fleet.launch(command)
            await self._engine.load(process, self._job)
            await process.client.fetch(*self._engine.canary(self._job), timeout_s=60.0)
            began_s = time.perf_counter()
            restored = await self._engine.recall(process, self._job)
            recalled_s = time.perf_counter()
            await self._await_token(process)
            answered_s = time.perf_counter()
            reused = await self._reused(process)
            return Round(recalled_s - began_s, answered_s - recalled_s, restored, reused)
        finally:
            await fleet.close()

    async def _await_token(self, process: EngineProcess) -> None:
        path = self._engine.endpoint(Operation.CHAT)
        exchange = await process.client.open(path, self._body("What is rule 3?", stream=True))
        try:
            while not has_token(chunk := await exchange.read()):
                if not chunk:
                    raise RuntimeError("the stream ended without a token")
        finally:
            exchange.close()

    async def _reused(self, process: EngineProcess) -> int:
        """Tokens that a second user's request reuses: the prompt's, in both arms."""
        path = self._engine.endpoint(Operation.CHAT)
        body = self._body("And rule 7?", stream=False)
        status, answer = await process.client.fetch(path, body, timeout_s=120.0)
        if status != 200:
            raise RuntimeError(f"status {status}: {answer[:300]!r}")
        return int(json.loads(answer)["timings"]["cache_n"])

    def _body(self, question: str, *, stream: bool) -> bytes:
        said = {"system": self._prompt, "user": question}
        messages = [{"role": role, "content": content} for role, content in said.items()]
        fields = {"max_tokens": 1, "temperature": 0, "stream": stream}
        return json.dumps({"model": MODEL, "messages": messages, **fields}).encode()


def arms(files: ModelFiles, engine: LlamacppEngine, prompt: str, place: Path) -> dict[str, Arm]:
    plain = ModelJob(MODEL, files, engine.options(OPTIONS))
    kept = replace(plain, system_prompts=SystemPrompts((prompt,), place / "prompts"))
    jobs = {"restored": kept, "anew": plain}
    return {name: Arm(engine, job, prompt, place / name) for name, job in jobs.items()}


def run(ref: str, rounds: int, prefer: str, rules: int) -> Report:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        files = files_of(ref, place / "files")
        settings = EngineSettings(llamacpp=LlamacppSettings(prefer=prefer))
        engine = Engines(settings, survey()).get("llamacpp")
        if not isinstance(engine, LlamacppEngine):
            raise TypeError(f"{engine!r} is no llama.cpp")
        measures = arms(files, engine, system_prompt(rules), place)
        first = {arm: asyncio.run(one.measure()) for arm, one in measures.items()}
        measured: dict[str, list[Round]] = {arm: [] for arm in measures}
        for number in range(rounds):
            for arm, one in measures.items():
                measured[arm].append(asyncio.run(one.measure()))
            last = {arm: f"{rows[-1].first_token_s:.3f} s" for arm, rows in measured.items()}
            print(f"round {number + 1} of {rounds}, to the first token: {last}", flush=True)
        return report(measured, first["restored"].recall_s, engine.build)


def report(measured: dict[str, list[Round]], keep_s: float, build: str) -> Report:
    restored, anew = measured["restored"], measured["anew"]
    if not all(row.restored for row in restored):
        raise RuntimeError("a round restored nothing, and so compares nothing")
    anew_s = [row.first_token_s for row in anew]
    seen_s = [row.first_token_s for row in restored]
    whole_s = [row.recall_s + row.first_token_s for row in restored]
    figures = (
        Figure("restored: first token, of the same read anew", "×", ratio(seen_s, anew_s),
               Goal(0.25)),
        Figure("the same with the restore added", "×", ratio(whole_s, anew_s), Goal(0.25)),
        Figure("anew: to the first token", "s", spread(anew_s)),
        Figure("restored: to the first token", "s", spread(seen_s)),
        Figure("the restore, once a load", "s", spread([row.recall_s for row in restored])),
        Figure("the first load, which computes and keeps it", "s", keep_s),
        Figure("tokens restored", "tokens", float(restored[0].restored)),
    )  # fmt: skip
    raw = {
        arm: [[row.recall_s, row.first_token_s, row.reused] for row in rows]
        for arm, rows in measured.items()
    }
    return Report("prompts", figures, {"seconds": raw}, {"engine": build})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prompts", description=__doc__)
    parser.add_argument("ref", nargs="?", default=DEFAULT_REF, help="a model ref or a .gguf")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--prefer", default="auto", choices=("auto", "server", "wheel"))
    parser.add_argument("--rules", type=int, default=50, help="length of the system prompt")
    parser.add_argument("--output", type=Path, help="JSON; else benchmarks/results/prompts.json")
    given = parser.parse_args()
    return run(given.ref, given.rounds, given.prefer, given.rules).publish(given.output)


if __name__ == "__main__":
    raise SystemExit(main())
