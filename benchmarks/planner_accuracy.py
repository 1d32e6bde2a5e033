"""What a plan says of llama.cpp on this processor, and what it does: speed and memory.

    python -m benchmarks.planner_accuracy [--model llama-3.2-1b] [--mix Q4_K_M] [--uncalibrated]

Each model of the catalog is written in its true shape with random weights, run by the engine as
the product runs it, and asked for a prompt, for answers at several concurrencies, and for its
peak of memory. Plans are made from the catalog's row alone, with the constants that come with the
product and with those of `pilotlight calibrate`, which runs first and knows none of these models.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.report import Figure, Goal, Report
from pilotlight import catalog, config
from pilotlight.calibration import shaped_gguf
from pilotlight.calibration.calibrate import calibrate
from pilotlight.calibration.here import device_of
from pilotlight.calibration.quiet import Sampled, sampled
from pilotlight.calibration.trial import Trial
from pilotlight.catalog.model import CatalogModel
from pilotlight.engines.base import Engine
from pilotlight.engines.registry import Engines
from pilotlight.fleet.local import LocalFleet
from pilotlight.machine import Machine, survey
from pilotlight.planner.cpu_speed import cpu_rates
from pilotlight.planner.device import Device
from pilotlight.planner.memory import Load, Room, fit
from pilotlight.planner.model import from_architecture
from pilotlight.planner.rates import Rates
from pilotlight.planner.speed import place

MODELS = ("smollm2-135m", "llama-3.2-1b")
MIXES = ("Q4_0", "Q4_K_M", "Q8_0", "F16")
CONCURRENCY = (1, 4, 16)
CONTEXT = 1024
PROMPT, ANSWER, READ = 16, 32, 512
"""Tokens before an answer, of an answer, and of the prompt that is timed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was measured, and what plans said of it; in seconds or bytes."""

    model: str
    mix: str
    what: str
    measured: float
    quiet: int
    """Samples it is the median of; 0: others were busy throughout, and it is the fastest."""

    before: float
    after: float | None = None

    def errors(self) -> tuple[float, float | None]:
        after = None if self.after is None else abs(self.after / self.measured - 1)
        return abs(self.before / self.measured - 1), after

    def line(self) -> str:
        before, after = self.errors()
        said = f"{before:6.1%}" + ("" if after is None else f" {after:6.1%}")
        noisy = "" if self.quiet else "  (noisy)"
        return f"{self.model:14} {self.mix:7} {self.what:14} {self.measured:12.6g} {said}{noisy}"


@dataclass(frozen=True, slots=True)
class Bench:
    """What stays the same over all models."""

    engine: Engine
    machine: Machine
    fleet: LocalFleet
    device: Device
    before: Rates
    after: Rates | None
    directory: Path

    async def model(self, row: CatalogModel, mix: str) -> Sequence[Row]:
        path = self.directory / f"{row.name}-{mix}.gguf"
        shaped_gguf.write(path, row.architecture, mix)
        try:
            measured, peak_bytes = await self._measure(path, row)
        finally:
            path.unlink()
        rows = [*self._speeds(row, mix, measured), self._memory(row, mix, peak_bytes)]
        for each in rows:
            print(each.line(), flush=True)
        return rows

    async def _measure(self, path: Path, row: CatalogModel) -> tuple[Mapping[str, Sampled], int]:
        options = self.engine.options({"parallel": max(CONCURRENCY), "context": CONTEXT})
        words = row.architecture.vocabulary
        async with Trial(self.engine, self.fleet, path, options, vocabulary=words) as trial:
            await trial.prefill_s(PROMPT)  # touches the weights for the first time
            asked = {f"prefill {READ}": partial(trial.prefill_s, READ)} | {
                f"decode at {count}": partial(trial.step_s, count, PROMPT, ANSWER)
                for count in CONCURRENCY
            }
            found = {
                what: await sampled(sample, trial.watch, wanted=3, most=6)
                for what, sample in asked.items()
            }
            peak_bytes = trial.process.peak_memory_bytes()
            assert peak_bytes is not None, "the process runs here"
            return found, peak_bytes

    def _speeds(
        self, row: CatalogModel, mix: str, measured: Mapping[str, Sampled]
    ) -> Iterator[Row]:
        before = self._predicted(row, mix, self.before)
        after = self._predicted(row, mix, self.after) if self.after else {}
        for what, sample in measured.items():
            yield Row(
                row.name, mix, what, sample.seconds, sample.quiet, before[what], after.get(what)
            )

    def _predicted(self, row: CatalogModel, mix: str, rates: Rates) -> Mapping[str, float]:
        model = from_architecture(row.name, row.architecture, mix, format="gguf")
        setup = place(model, "llamacpp", [(self.device, 1.0)], rates={self.device.name: rates})
        context = PROMPT + ANSWER / 2
        reading = {f"prefill {READ}": setup.request_s + setup.prefill(READ).seconds}
        return reading | {
            f"decode at {count}": setup.decode(count, context).seconds for count in CONCURRENCY
        }

    def _memory(self, row: CatalogModel, mix: str, peak_bytes: int) -> Row:
        model = from_architecture(row.name, row.architecture, mix, format="gguf")
        room = Room(
            ram_bytes=self.machine.ram_bytes, instruction_sets=self.machine.instruction_sets
        )
        load = Load(context=CONTEXT, sequences=max(CONCURRENCY))
        predicted = fit(model, "llamacpp", load, room).ram_bytes
        return Row(row.name, mix, "peak memory", peak_bytes, 1, predicted, predicted)


async def run(models: Sequence[str], mixes: Sequence[str], *, calibrated: bool) -> Report:
    settings, machine, known = config.load(), survey(), catalog.load()
    engine = Engines(settings.engines, machine).get("llamacpp")
    device = device_of(machine, engine.build)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        found = None
        if calibrated:
            found = await calibrate(engine, machine, directory, date.today(), print)
        fleet = LocalFleet(directory / "logs")
        bench = Bench(
            engine,
            machine,
            fleet,
            device,
            cpu_rates(device),
            found.rates if found else None,
            directory,
        )
        try:
            asked = [(known.models.find(model), mix) for model in models for mix in mixes]
            rows = [row for each in asked for row in await bench.model(*each)]
        finally:
            await fleet.close()
    raw = {"rows": [asdict(row) for row in rows], "rates": found.rates.to_json() if found else None}
    return Report("planner_accuracy", tuple(figures(rows)), raw, {"engine": engine.build})


def figures(rows: Sequence[Row]) -> Iterator[Figure]:
    speeds = [row.errors() for row in rows if row.what != "peak memory"]
    before = [each[0] for each in speeds]
    after = [each[1] for each in speeds if each[1] is not None]
    memory = [row.errors()[0] for row in rows if row.what == "peak memory"]
    yield Figure("speed before calibration, median error", "", statistics.median(before), Goal(0.3))
    yield Figure("speed before calibration, largest error", "", max(before))
    if after:
        median = statistics.median(after)
        yield Figure("speed after calibration, median error", "", median, Goal(0.12))
        yield Figure("speed after calibration, largest error", "", max(after))
    yield Figure("memory, largest error", "", max(memory), Goal(0.08))
    noisy = sum(not row.quiet for row in rows)
    yield Figure("measured while others were busy", "", noisy / len(rows))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.planner_accuracy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", action="append", default=[], help="of the catalog")
    parser.add_argument("--mix", action="append", choices=MIXES, default=[])
    parser.add_argument("--uncalibrated", action="store_true", help="leave the probe out")
    parser.add_argument("--output", type=Path, help="JSON; else benchmarks/results/…")
    given: Any = parser.parse_args()
    models, mixes = given.model or MODELS, given.mix or MIXES
    return asyncio.run(run(models, mixes, calibrated=not given.uncalibrated)).publish(given.output)


if __name__ == "__main__":
    raise SystemExit(main())
