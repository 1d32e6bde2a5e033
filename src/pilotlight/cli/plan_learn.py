"""`pilotlight plan learn`: correct what plans assume of a GPU by what was measured there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.command import Command
from pilotlight.cli.exits import Exit
from pilotlight.cli.flags import config_file, setting_flags, settings
from pilotlight.cli.report_file import read_report, what_ran, what_ran_flags
from pilotlight.errors import PlanError

if TYPE_CHECKING:
    from pilotlight.config import Settings
    from pilotlight.planner.rates import Rates
    from pilotlight.planner.recalibration import Measured
    from pilotlight.planner.reported import Reported
    from pilotlight.planner.roofline import Setup


@click.command(
    cls=Command,
    examples=(
        "pilotlight plan learn c1.json c8.json --model qwen3-8b --quant bf16 --gpu rtx-4090",
        "pilotlight plan learn result.json --model ./m-Q4_K_M.gguf --gpu l4 --engine llamacpp",
    ),
)
@click.argument("reports", nargs=-1, required=True, type=click.Path(path_type=Path))
@what_ran_flags(gpu_required=True)
@click.option("--engine", default="vllm", show_default=True, metavar="NAME", help="what ran it")
@config_file
@setting_flags("data_dir", "catalog")
@click.pass_context
def learn(
    context: click.Context, /, reports: tuple[Path, ...], file: Path | None, **flags: Any
) -> int:
    """Correct the rates of a GPU and engine by closed-loop benchmarks of a model there.

    REPORTS are JSON of Pilotlight, vllm bench serve, GuideLLM or AIPerf that say their lengths and
    concurrency. Plans use what was learned from then on.
    """
    from datetime import date

    from pilotlight.calibration.reports import save_reported
    from pilotlight.planner.recalibration import recalibrated

    chosen = settings(context, file)
    setup = _setup(chosen, flags)
    runs = [run for path in reports for run in _runs(path, setup)]
    before = setup.stages[0].rates
    source = f"{_counted(len(runs))} of {flags['model']}, corrected from: {before.source}"
    found = recalibrated(before, runs, source, date.today().isoformat())
    path = save_reported(found, chosen.data_dir)
    click.echo(_told(before, found, len(runs), path))
    return Exit.OK


def _setup(chosen: Settings, flags: dict[str, Any]) -> Setup:
    """With the rates that plans assume, not with learned ones: nothing is learned twice."""
    from pilotlight.cli.plan_facts import read_catalog
    from pilotlight.planner.device import gpu_device
    from pilotlight.planner.speed import place

    catalog = read_catalog(chosen)
    planned = what_ran(catalog, chosen, flags["model"], flags["quant"])
    device = gpu_device(catalog.gpus.find(flags["gpu"]))
    return place(planned, flags["engine"], [(device, 1.0)], ranks=flags["gpus"])


def _runs(path: Path, setup: Setup) -> list[Measured]:
    from pilotlight.planner.recalibration import closed_loop
    from pilotlight.planner.reported import read

    reported = read(read_report(path))
    for run in reported:
        _refuse_what_cant_be(path, run, setup)
    found = closed_loop(setup, reported)
    if not found:
        raise PlanError(
            f"{str(path)!r} doesn't say how long its requests were and how many ran at once",
            hint="benchmark with a fixed concurrency, such as --max-concurrency 8",
        )
    return found


def _refuse_what_cant_be(path: Path, reported: Reported, setup: Setup) -> None:
    """Plans that learned from a figure which no hardware gives would promise it to others."""
    from pilotlight.planner import physics

    (stage,) = setup.stages
    run = physics.Run(
        work=setup.work,
        device=stage.device,
        devices=stage.ranks,
        lengths=reported.lengths,
        concurrency=reported.concurrency,
        request_ms=reported.request_ms,
    )
    if flags := physics.check(reported.metrics, run):
        raise PlanError(
            f"{str(path)!r} has a {flags[0].text}",
            hint="plans learn from runs that can be, without speculation or reused prompts; "
            "pilotlight plan check shows every figure that can't",
        )


def _told(before: Rates, found: Rates, count: int, path: Path) -> str:
    steps = before.attention.read_bytes_s / found.attention.read_bytes_s
    products = before.attention.points[0][1] / found.attention.points[0][1]
    return (
        f"{found.engine} on {found.device}, by {_counted(count)}: steps take {steps:.2f} times and "
        f"prompts {products:.2f} times what plans assumed; predictions now within "
        f"{found.error:.0%} of the runs\nwritten: {path}"
    )


def _counted(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"
