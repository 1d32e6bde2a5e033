"""Output tokens/s of every engine installed here, directly and through Pilotlight, in one table.

    python -m benchmarks.engines [MODEL.gguf] [--engine vllm] [--concurrency 1,4,16,32]

All run the same weights: llama.cpp the GGUF file, vLLM and transformers a directory with that
file dequantized to BF16. Prompt and answers are equal, and every engine has a slot for each
request, so no queue is measured. One process of an engine serves both arms, which take turns.
An engine's figures join those that the result file has of the others, as long as machine, model
and options are the same: one engine can be measured again by itself. The exit code speaks for
the whole table.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import real_model
from benchmarks.agreement import Forms
from benchmarks.contender import CONTENDERS
from benchmarks.course import Course, measure
from benchmarks.report import RESULTS
from benchmarks.side_by_side import Conditions, earlier, report
from pilotlight import config
from pilotlight.config import EngineSettings, Settings
from pilotlight.core import ModelRef
from pilotlight.engines import environments
from pilotlight.engines.base import Engine
from pilotlight.errors import EngineMissingError
from pilotlight.machine import survey
from pilotlight.store.store import Store


def installed(names: Sequence[str], base: EngineSettings) -> dict[str, Engine]:
    """Those that `names` asks for, or all that are here.

    Raises:
        EngineMissingError: one that was asked for by name isn't, or none is.
    """
    found = {}
    for name in names or CONTENDERS:
        try:
            found[name] = CONTENDERS[name].engine(base)
        except EngineMissingError as error:
            if names:
                raise
            print(f"{name} is left out: {error.one_line()}")
    if not found:
        raise EngineMissingError(
            "no engine is installed", hint="pip install 'pilotlight[llamacpp]'"
        )
    return found


def forms(settings: Settings, ref: str) -> Forms:
    """Where the model lies as GGUF, and what makes the directory of it."""
    store = Store(settings.data_dir / "models", settings.store)
    kept = settings.data_dir / "benchmarks"
    kept.mkdir(parents=True, exist_ok=True)
    gguf = asyncio.run(store.resolve(ModelRef.parse(ref)))
    return Forms(gguf, kept, _python(settings.engines))


def _python(engines: EngineSettings) -> Path:
    """One with numpy, if any engine brings it: only their own form of the model needs it."""
    assert engines.directory is not None, "config.load gives it its default"
    found = (environments.find(engines.directory, name) for name in ("transformers", "vllm"))
    return next((each.python for each in found if each is not None), Path(sys.executable))


def run(settings: Settings, ref: str, names: Sequence[str], course: Course, path: Path) -> int:
    """An engine's figures are written before the next starts, whose failure won't cost them."""
    found = installed(names, settings.engines)
    model = forms(settings, ref)
    conditions = Conditions(
        survey().fingerprint, model.gguf.path.name, course.slots, course.context, course.max_tokens
    )
    known = earlier(path, conditions)
    for name, engine in found.items():
        files = asyncio.run(model.of(engine.name, "bfloat16"))
        print(f"{name}, {engine.build}, {files.path.name}", flush=True)
        known[name] = measure(CONTENDERS[name], engine, files, settings.engines, course)
        in_order = {each: known[each] for each in CONTENDERS if each in known}
        code = report(in_order, conditions).publish(path)
    return code


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("ref", nargs="?", default=real_model.DEFAULT_REF, help="ref or .gguf")
    parser.add_argument("--engine", action="append", choices=sorted(CONTENDERS), default=[])
    parser.add_argument("--engines-directory", type=Path, help="else the configured one")
    parser.add_argument("--concurrency", type=_levels, default=(1, 4, 16, 32))
    parser.add_argument("--rounds", type=_count, default=6)
    parser.add_argument("--seconds", type=float, default=4.0, help="of one arm in one round")
    parser.add_argument("--starts", type=_count, default=3, help="counted, after one that isn't")
    parser.add_argument(
        "--slots", type=_count, default=32, help="requests an engine works on at once"
    )
    parser.add_argument("--context", type=_count, default=512, help="tokens of each of them")
    parser.add_argument("--max-tokens", type=_count, default=64)
    parser.add_argument("--output", type=Path, default=RESULTS / "engines.json")
    given = parser.parse_args()
    if max(given.concurrency) > given.slots:
        parser.error(f"--concurrency {max(given.concurrency)} would queue for {given.slots} slots")
    course = Course(
        given.concurrency, given.rounds, given.seconds, given.starts, given.slots, given.context,
        given.max_tokens,
    )  # fmt: skip
    if given.engines_directory:
        # The gateway inherits it; in its file a variable that is set already would win.
        os.environ["PILOTLIGHT_ENGINES_DIRECTORY"] = str(given.engines_directory.absolute())
    try:
        return run(config.load(), given.ref, given.engine, course, given.output)
    except EngineMissingError as error:
        raise SystemExit(f"error: {error.one_line()}") from None


def _levels(text: str) -> tuple[int, ...]:
    return tuple(sorted({_count(each) for each in text.split(",")}))


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is less than 1")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
