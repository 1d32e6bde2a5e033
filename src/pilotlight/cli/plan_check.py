"""`pilotlight plan check`: whether a benchmark's figures can be true of that hardware."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.command import Command
from pilotlight.cli.exits import Exit
from pilotlight.cli.flags import config_file, setting_flags, settings
from pilotlight.cli.report_file import read_report, what_ran, what_ran_flags

if TYPE_CHECKING:
    from pilotlight.catalog import Catalog
    from pilotlight.config import Settings
    from pilotlight.planner.device import Device
    from pilotlight.planner.physics import Flag, Run
    from pilotlight.planner.reported import Reported


@click.command(
    cls=Command,
    examples=(
        "pilotlight plan check result.json --model llama-3.1-8b --quant bf16 --gpu h100",
        "pilotlight plan check benchmarks.json --model qwen3-32b --quant fp8 --gpu l40s --gpus 2",
        "pilotlight plan check result.json --model ./m-Q4_K_M.gguf --cpu epyc-9554",
    ),
)
@click.argument("report", type=click.Path(path_type=Path))
@what_ran_flags(gpu_required=False)
@click.option("--cpu", metavar="NAME", help="what it ran on, without a GPU: all of that socket")
@click.option(
    "--tokens-per-step",
    type=click.FloatRange(1),
    default=1.0,
    show_default=True,
    metavar="N",
    help="tokens of one sequence from one step, with speculative decoding",
)
@click.option(
    "--cached-prompt",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="TOKENS",
    help="tokens of a prompt that the engine had from an earlier one",
)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@config_file
@setting_flags("data_dir", "catalog")
@click.pass_context
def check(
    context: click.Context,
    /,
    report: Path,
    as_json: bool,
    file: Path | None,
    **flags: Any,
) -> int:
    """Flag every figure of REPORT that beats what the hardware can do, with the arithmetic.

    REPORT is the JSON of Pilotlight, vllm bench serve, GuideLLM, AIPerf or inference-perf. The
    exit status is 1 where anything is flagged.
    """
    if (flags["gpu"] is None) == (flags["cpu"] is None):
        raise click.UsageError("say what it ran on: --gpu or --cpu, one of them", context)
    from pilotlight.planner import physics
    from pilotlight.planner.reported import read

    chosen = settings(context, file)
    runs = read(read_report(report))
    bare = _run(chosen, flags)
    found = [physics.check(run.metrics, _of(run, bare)) for run in runs]
    click.echo(_as_json(runs, found) if as_json else "\n".join(_as_text(runs, found)))
    return Exit.FAILURE if any(found) else Exit.OK


def _of(reported: Reported, bare: Run) -> Run:
    return replace(
        bare,
        lengths=reported.lengths,
        concurrency=reported.concurrency,
        request_ms=reported.request_ms,
    )


def _run(chosen: Settings, flags: dict[str, Any]) -> Run:
    """What all runs of a report have in common."""
    from pilotlight.cli.plan_facts import read_catalog
    from pilotlight.planner.physics import Run
    from pilotlight.planner.work import work_of

    catalog = read_catalog(chosen)
    return Run(
        work=work_of(what_ran(catalog, chosen, flags["model"], flags["quant"])),
        device=_device(catalog, flags["gpu"], flags["cpu"]),
        devices=flags["gpus"],
        tokens_per_step=flags["tokens_per_step"],
        cached_prompt_tokens=flags["cached_prompt"],
    )


def _device(catalog: Catalog, gpu: str | None, cpu: str | None) -> Device:
    from pilotlight.planner.device import cpu_device, gpu_device

    if cpu is None:
        return gpu_device(catalog.gpus.find(str(gpu)))
    # Its rating isn't what its machine may draw, and that is what most reports measure.
    return replace(cpu_device(catalog.cpus.find(cpu)), tdp_w=None)


def _as_text(runs: Iterable[Reported], found: Iterable[tuple[Flag, ...]]) -> Iterable[str]:
    for number, (run, flags) in enumerate(zip(runs, found, strict=True), 1):
        verdict = f"{len(flags)} figures can't be" if flags else "nothing beats a bound"
        yield f"run {number} ({run.tool}): {verdict}"
        yield from (f"  {flag.text}" for flag in flags)


def _as_json(runs: Iterable[Reported], found: Iterable[tuple[Flag, ...]]) -> str:
    import msgspec

    pairs = zip(runs, found, strict=True)
    return json.dumps(
        [{"tool": run.tool, "flags": msgspec.to_builtins(each)} for run, each in pairs]
    )
