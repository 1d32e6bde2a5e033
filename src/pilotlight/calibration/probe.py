"""A look at what this machine does, in seconds: shaped models run by the installed llama.cpp."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pilotlight.calibration import shaped_gguf
from pilotlight.calibration.probes import (
    CONTEXT,
    LONG,
    OVERHEADS,
    PROMPT,
    SLOTS,
    TYPES,
    Probe,
    wide,
)
from pilotlight.calibration.quiet import Sampled, sampled
from pilotlight.calibration.trial import Trial
from pilotlight.engines.base import Engine
from pilotlight.errors import CalibrationError
from pilotlight.fleet.base import Fleet
from pilotlight.machine import Machine

BUDGET_S = 12.0
"""After this no other type is begun; on a quiet machine most of them fit in."""

LIMIT_S = 15.0
"""Whatever is under way then is given up."""

PATIENCE_S = 0.3
"""For one reading."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What one probe took, in seconds, by how many answers at once or tokens in a prompt."""

    answers: Mapping[int, float] = field(default_factory=dict)
    prompts: Mapping[int, float] = field(default_factory=dict)
    long_answers: Mapping[int, float] = field(default_factory=dict)
    quiet: bool = True


async def run(
    engine: Engine,
    machine: Machine,
    fleet: Fleet,
    directory: Path,
    report: Callable[[str], None],
) -> Mapping[str, Readings]:
    """Readings by the probe's name: of all overheads, and of as many types as there is time for.
    Takes at most `LIMIT_S` and what it takes to end an engine.

    Files in `directory` come and go, a few hundred megabytes at most. `report` hears the name of
    each probe as it begins.

    Raises:
        CalibrationError: there was no time for a single type, for others use the processor.
        EngineError: the engine doesn't run, or refuses.
    """
    began_s = time.monotonic()
    options = engine.options(_options(machine))
    found: dict[str, Readings] = {}
    try:
        async with asyncio.timeout(LIMIT_S):
            for probe in (*OVERHEADS, *map(wide, TYPES)):
                if time.monotonic() - began_s > BUDGET_S:
                    break
                report(probe.name)
                found[probe.name] = await _one(probe, engine, options, fleet, directory)
    except TimeoutError:
        pass  # what was read until then may do
    if TYPES[0] not in found:
        raise CalibrationError(
            "other programs keep this machine so busy that nothing could be measured",
            hint="run it again when they are done",
        )
    return found


def _options(machine: Machine) -> Mapping[str, Any]:
    """GPUs stay out of it: llama.cpp would hand them long prompts even without a layer on them."""
    alone = {"device": "none"} if machine.gpus else {}
    return {"parallel": SLOTS, "context": CONTEXT, "gpu_layers": 0, **alone}


async def _one(
    probe: Probe, engine: Engine, options: Any, fleet: Fleet, directory: Path
) -> Readings:
    path = directory / f"{probe.name}.gguf"
    try:
        shaped_gguf.write_types(path, probe.architecture, probe.types())
        words = probe.architecture.vocabulary
        async with Trial(engine, fleet, path, options, vocabulary=words) as trial:
            return await _ask(probe, trial)
    finally:
        path.unlink(missing_ok=True)


async def _ask(probe: Probe, trial: Trial) -> Readings:
    """Twice where it's quick: the engine touches memory for the first time in the first."""
    length = probe.answer_tokens

    async def take(sample: Callable[[], Awaitable[float]]) -> Sampled:
        return await sampled(sample, trial.watch, wanted=2, most=4, patience_s=PATIENCE_S)

    prompts = {n: await take(partial(trial.prefill_s, n)) for n in probe.prompts}
    answers = {n: await take(partial(trial.step_s, n, PROMPT, length)) for n in probe.answers}
    longs = {n: await take(partial(trial.step_s, n, LONG, length)) for n in probe.long_answers}
    return Readings(
        _seconds(answers),
        _seconds(prompts),
        _seconds(longs),
        all(each.quiet for taken in (answers, prompts, longs) for each in taken.values()),
    )


def _seconds(taken: Mapping[int, Sampled]) -> Mapping[int, float]:
    return {count: each.seconds for count, each in taken.items()}
