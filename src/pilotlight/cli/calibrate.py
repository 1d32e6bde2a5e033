"""`pilotlight calibrate`: what this machine's processor does with llama.cpp."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.command import Command
from pilotlight.cli.exits import Exit
from pilotlight.cli.flags import config_file, setting_flags, settings
from pilotlight.cli.table import table
from pilotlight.config import Settings

if TYPE_CHECKING:
    from pilotlight.calibration.kept import Calibration
    from pilotlight.engines.base import Engine
    from pilotlight.machine import Machine


@click.command(
    cls=Command,
    examples=(
        "pilotlight calibrate",
        "pilotlight calibrate --show --json",
        "pilotlight calibrate --forget",
        "pilotlight calibrate --report result.json --model llama-3.2-1b --quant q4_k_m",
    ),
)
@click.option("--show", is_flag=True, help="print what was measured before, and measure nothing")
@click.option("--forget", is_flag=True, help="remove what was measured before")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="correct what was measured by a benchmark's report from this machine",
)
@click.option("--model", metavar="MODEL", help="what the report ran: a name or a model ref")
@click.option("--quant", metavar="NAME", help="its quantization, where MODEL is a catalog's name")
@click.option("--json", "as_json", is_flag=True, help="print the rates as JSON")
@config_file
@setting_flags("data_dir", "engines", "catalog")
@click.pass_context
def calibrate(
    context: click.Context,
    /,
    show: bool,
    forget: bool,
    report: Path | None,
    model: str | None,
    quant: str | None,
    as_json: bool,
    file: Path | None,
    **flags: Any,
) -> int:
    """Measure how fast llama.cpp runs on this machine's processor.

    Takes about ten seconds of all cores, fifteen at most. Plans for this machine use what was
    found, as long as the machine and the build of llama.cpp stay the same. With --report nothing
    is run: FILE is the JSON of a closed-loop benchmark (Pilotlight, vllm bench serve, GuideLLM,
    AIPerf or inference-perf).
    """
    if show + forget + (report is not None) > 1:
        raise click.UsageError("--show, --forget and --report exclude each other")
    if (report is None) != (model is None):
        raise click.UsageError("--report and --model belong together")
    chosen = settings(context, file)
    machine, engine = _here(chosen)
    if forget:
        return _forget(chosen.data_dir, machine, engine)
    if report is not None and model is not None:
        found: Calibration | None = _correct(chosen, machine, engine, report, (model, quant))
    elif show:
        found = _kept(chosen.data_dir, machine, engine)
    else:
        found = _measure(chosen, machine, engine)
    if found is None:
        click.echo(f"nothing was measured yet of {engine.build} here", err=True)
        return Exit.FAILURE
    _print(found, as_json=as_json)
    return Exit.OK


def _here(chosen: Settings) -> tuple[Machine, Engine]:
    from pilotlight.engines.registry import Engines
    from pilotlight.machine import survey

    machine = survey()
    return machine, Engines(chosen.engines, machine).get("llamacpp")


def _forget(data_dir: Path, machine: Machine, engine: Engine) -> int:
    from pilotlight.calibration.kept import forget

    known = forget(data_dir, machine.fingerprint, engine.build)
    click.echo("forgotten" if known else "there is nothing to forget")
    return Exit.OK


def _kept(data_dir: Path, machine: Machine, engine: Engine) -> Calibration | None:
    from pilotlight.calibration.kept import load

    return load(data_dir, machine.fingerprint, engine.build)


def _measure(chosen: Settings, machine: Machine, engine: Engine) -> Calibration:
    import asyncio
    from datetime import date

    from pilotlight.calibration.calibrate import calibrate

    def report(name: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[Kmeasuring {name}", nl=False, err=True)

    try:
        return asyncio.run(calibrate(engine, machine, chosen.data_dir, date.today(), report))
    finally:
        if sys.stderr.isatty():
            click.echo("\r\x1b[K", nl=False, err=True)


def _correct(
    chosen: Settings, machine: Machine, engine: Engine, report: Path, ran: tuple[str, str | None]
) -> Calibration:
    from datetime import date

    from pilotlight.calibration.correction import corrected
    from pilotlight.calibration.kept import save
    from pilotlight.cli.plan_facts import read_catalog
    from pilotlight.cli.report_file import read_report, what_ran
    from pilotlight.planner.reported import read

    runs = read(read_report(report))
    model = what_ran(read_catalog(chosen), chosen, *ran)
    known = _kept(chosen.data_dir, machine, engine)
    found = corrected(machine, engine, known, model, runs, date.today())
    save(found, chosen.data_dir)
    return found


def _print(found: Calibration, *, as_json: bool) -> None:
    from pilotlight.calibration.kept import document

    if as_json:
        click.echo(json.dumps(document(found)))
        return
    click.echo(f"{found.build} on {found.machine}, {found.measured_on}: {found.rates.source}")
    click.echo(table(_COLUMNS, _rows(found)))
    rates = found.rates
    click.echo(
        f"besides: {rates.step_s * 1e6:.0f} µs a step, {rates.layer_s * 1e6:.1f} µs a layer, "
        f"{(rates.sequence_s + rates.vocabulary_s * _WORDS) * 1e6:.0f} µs an answer and step with "
        f"{_WORDS:,} words, {rates.request_s * 1e3:.1f} ms a request"
    )
    if not found.quiet:
        click.echo(
            "warning: other programs were busy meanwhile, and the machine can do more than this",
            err=True,
        )
        click.echo("hint: run it again when they are done", err=True)


_COLUMNS = ("TYPE", "READS", "1 TOKEN", "4", "16", "512")
_AT_ONCE = (1, 4, 16, 512)
_WORDS = 128_000


def _rows(found: Calibration) -> Sequence[Sequence[str]]:
    """The types in rising order of their size, with operations at several tokens at once."""
    from pilotlight.planner.rates import BITS

    types = found.rates.types
    named = sorted(types, key=lambda name: (BITS.get(name, 0.0), name))
    return [
        [
            name,
            f"{types[name].read_bytes_s / 1e9:.1f} GB/s",
            *(f"{types[name].flop_s(count) / 1e9:.0f} GFLOP/s" for count in _AT_ONCE),
        ]
        for name in named
    ]
