"""`pilotlight deploy bench`: a deployment measured where it runs, cold and warm apart."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.bench_options import experiment, experiment_flags
from pilotlight.cli.bench_output import check_output, command_line, output_flags, write_output
from pilotlight.cli.bench_target import KEY_VARIABLE, key_of
from pilotlight.cli.command import Command
from pilotlight.cli.deploy_release import Chosen, choose, release_flags
from pilotlight.cli.exits import Exit
from pilotlight.cli.interruption import stopped_alike
from pilotlight.cli.table import table as text_table

if TYPE_CHECKING:
    from pilotlight.bench.experiment import Experiment
    from pilotlight.bench.planned import Planned
    from pilotlight.bench.report import Report
    from pilotlight.deploy.measurement import Trial


@click.command(
    cls=Command,
    examples=(
        "pilotlight deploy bench lambda -f pilotlight.yaml",
        "pilotlight deploy bench cloudrun --plan plan.json --cold 5 --html cloudrun.html",
        "pilotlight deploy bench compose -f pilotlight.yaml --table --duration 2m",
    ),
    exits=(Exit.UNREACHABLE, Exit.NOT_ALLOWED),
)
@release_flags
@click.option(
    "--cold",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    metavar="N",
    help="cold starts, each timed to its first token; 0 leaves what runs alone",
)
@click.option("--model", metavar="NAME", help="of several models, the one to ask")
@click.option(
    "--key-variable",
    metavar="NAME",
    default=KEY_VARIABLE,
    show_default=True,
    help="environment variable that holds the API key",
)
@click.option(
    "--table", is_flag=True, help="the starting serverless study's table again, from this run"
)
@experiment_flags
@output_flags
@click.pass_context
def bench(context: click.Context, /, **flags: Any) -> int:
    """Measure it where it runs: cold starts first and apart, then warm.

    One request at a time, then as many as an instance is given at once, unless flags say how many;
    priced as its platform bills. The report is like any other's of `pilotlight bench`, and kept for
    `pilotlight deploy status`.
    """
    from pilotlight.bench.workloads.registry import check
    from pilotlight.deploy.measurement import measured
    from pilotlight.deploy.remembered import Remembered

    if flags["table"] and flags["as_json"]:
        raise click.UsageError("--table is for people, and --json isn't: leave one of them out")
    check_output(flags)
    chosen = choose(context, flags, with_image=False)
    trial = _trial(chosen, flags)
    check(trial.experiment.workload)
    from pilotlight.bench.live import Live

    with stopped_alike():
        with Live(sys.stderr) as view:
            report = measured(chosen.target, chosen.release, trial, view)
        report = replace(report, command=command_line())
        kept = Remembered.of(chosen.settings.data_dir, chosen.target.name, chosen.release.name)
        try:
            paths = kept.keep(report)
            click.echo(f"wrote {', '.join(map(str, paths))}", err=True)
        finally:  # what took half an hour is shown even where it can't be kept
            _show(report, chosen, flags)
    return Exit.OK if report.stage.numbers.completed else Exit.FAILURE


def _trial(chosen: Chosen, flags: Mapping[str, Any]) -> Trial:
    from pilotlight.deploy.measurement import Trial
    from pilotlight.deploy.rented import rented

    target, release = chosen.target, chosen.release
    planned = _planned(chosen)
    return Trial(
        experiment=_experiment(chosen, flags, planned),
        cold_starts=flags["cold"],
        model=flags["model"] or _only_model(release.serve["models"]),
        key=key_of(flags["key_variable"]),
        planned=planned,
        rentable=rented(release, target.platform(release), chosen.catalog),
    )


def _planned(chosen: Chosen) -> Planned | None:
    from pilotlight.bench.planned import Planned

    plan, answer = chosen.source.plan, chosen.source.answer
    if plan is None or answer is None:
        return None
    return Planned(answer=answer, plan=plan, source=chosen.source.name)


def _experiment(chosen: Chosen, flags: Mapping[str, Any], planned: Planned | None) -> Experiment:
    """A plan says what to ask, and what the answers have to keep."""
    loaded = flags["arrivals"] or any(flags[name] for name in ("concurrency", "rate", "to_rate"))
    usual = dict.fromkeys((1, chosen.release.scaling.concurrency))
    asked = dict(flags) if loaded else {**flags, "concurrency": tuple(usual)}
    what = experiment(asked, chosen.catalog)
    if planned is None:
        return what
    named = any(flags[name] for name in ("slo", "ttft", "tpot", "e2e", "share"))
    return replace(
        what,
        workload=flags["workload"] or planned.workload,
        slo=what.slo if named else planned.slo,
    )


def _only_model(models: Mapping[str, Any]) -> str:
    if len(models) == 1:
        return str(next(iter(models)))
    raise click.UsageError(f"it serves {len(models)} models: choose one with --model NAME")


def _show(report: Report, chosen: Chosen, flags: Mapping[str, Any]) -> None:
    write_output((report,), flags)
    if flags["table"]:
        from pilotlight.deploy.study_table import HEADER, study_table

        rows = study_table(report, chosen.release.size)
        click.echo()
        click.echo(text_table(HEADER, [row.cells for row in rows]))
