"""`pilotlight plan`: which quantization, engine, hardware and platform, at what cost, and why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.command import ArgumentGroup, Command, above
from pilotlight.cli.exits import Exit
from pilotlight.cli.flags import config_file, setting_flags, settings
from pilotlight.cli.plan_check import check
from pilotlight.cli.plan_learn import learn
from pilotlight.cli.plan_options import given, requirement_flags
from pilotlight.durable import write_text
from pilotlight.errors import PlanError

if TYPE_CHECKING:
    from pilotlight.planner.plan import Answer, Plan
    from pilotlight.planner.search import Search

_Function = Callable[..., Any]
SHOWN = 12
EXPLAINED = 3


def _flags(function: _Function) -> _Function:
    """The options that every one of these commands has."""
    attached = setting_flags("data_dir", "catalog")(click.pass_context(function))
    as_json = click.option("--json", "as_json", is_flag=True, help="print JSON")
    return as_json(config_file(attached))


@click.group(
    cls=ArgumentGroup,
    examples=(
        "pilotlight plan llama-3.1-8b --rps 2 --input 800 --output 200",
        "pilotlight plan llama-3.2-1b --rps 0.05 --hours 8 --platform aws --budget 20",
        "pilotlight plan ./model.gguf --here --users 30 --write pilotlight.yaml",
        "pilotlight plan --class small --private --slo chat --html plan.html",
        "pilotlight plan qwen3-32b --mode batch --rps 5 --gpu h100-sxm --gpu l40s --json",
    ),
)
@click.argument("model", required=False)
@click.option("--class", "grade", metavar="CLASS", help="any model of that capability class")
@click.option("--here", is_flag=True, help="this machine, too")
@requirement_flags
@click.option(
    "--top",
    type=click.IntRange(1),
    default=SHOWN,
    show_default=True,
    metavar="N",
    help="plans shown, the best of each hardware and platform",
)
@click.option("--all", "everything", is_flag=True, help="show every plan")
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="write a page with the picture of cost against latency",
)
@click.option(
    "--write",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="write the best plan as a file that `pilotlight serve` runs",
)
@click.option("--ref", metavar="REF", help="where the weights are, for --write")
@_flags
def plan(
    context: click.Context,
    /,
    as_json: bool,
    file: Path | None,
    top: int,
    everything: bool,
    model: str | None = None,
    **flags: Any,
) -> int:
    """Find what serves MODEL for the least money, and say why not the rest.

    MODEL is a name of the catalog, a model ref or the path of a .gguf file. Offline but for a
    ref's header; every figure is from a dated fact that `pilotlight catalog` shows.
    """
    if above(context):
        return Exit.OK
    if flags["ref"] is not None and flags["write"] is None:
        raise click.UsageError("--ref says where the weights of --write are", context)
    from pilotlight.cli.question import Question, ask, remember

    chosen = settings(context, file)
    question = Question(model=model, grade=flags["grade"], here=flags["here"], flags=given(flags))
    answer, search = ask(question, chosen)
    remember(question, chosen)
    # First the answer: where there is nothing to write, it says what comes nearest and why not.
    _print_answer(answer, as_json, None if everything else top)
    _write_files(answer, search, flags["html"], flags["write"], flags["ref"])
    return Exit.OK if answer.plans else Exit.FAILURE


def _print_answer(answer: Answer, as_json: bool, count: int | None) -> None:
    if as_json:
        from pilotlight.planner.document import as_document
        from pilotlight.planner.listing import distinct

        shown = {plan.rank: plan for plan in (*distinct(answer.plans, count), *answer.front)}
        click.echo(json.dumps(as_document(answer, [shown[rank] for rank in sorted(shown)])))
        return
    from pilotlight.cli.plan_text import answer_text

    click.echo(answer_text(answer, _width(), count))


def _width() -> int:
    """Of the terminal; a pipe gets whole rows."""
    import sys

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000


def _write_files(
    answer: Answer, search: Search, html: Path | None, write: Path | None, ref: str | None
) -> None:
    if html is not None:
        from pilotlight.planner.explain import explain
        from pilotlight.planner.page import page

        explained = [explain(answer, each, search) for each in answer.front[:EXPLAINED]]
        write_text(html, page(answer, explained), mode=0o644)
        click.echo(f"wrote {html}", err=True)
    if write is not None:
        from pilotlight.planner.serve_file import serve_file

        if not answer.plans:
            raise PlanError(
                "no plan does what is asked: nothing to write",
                hint="see what comes nearest, and ask for less",
            )
        write_text(write, serve_file(_writable(answer, ref), ref), mode=0o644)
        click.echo(f"wrote {write}; start with: pilotlight serve {write}", err=True)


def _writable(answer: Answer, ref: str | None) -> Plan:
    """The best plan whose weights are to be had; the best of all where that is said."""
    known = (each for each in answer.plans if ref is not None or each.deployment.ref is not None)
    return next(known, answer.plans[0])


@plan.command(
    cls=Command,
    examples=("pilotlight plan explain", "pilotlight plan explain 3 --json"),
)
@click.argument("rank", type=click.IntRange(1), default=1)
@_flags
def explain(
    context: click.Context, /, rank: int, as_json: bool, file: Path | None, **flags: Any
) -> None:
    """Show the working of plan RANK of the last search: bottleneck, memory, money, break-even.

    Without a plan that does all that was asked, RANK counts what comes nearest.
    """
    from pilotlight.cli.plan_text import explanation_text
    from pilotlight.cli.question import ask, remembered
    from pilotlight.planner.document import plan_at
    from pilotlight.planner.explain import explain as explained

    chosen = settings(context, file)
    answer, search = ask(remembered(chosen), chosen)
    found = explained(answer, plan_at(answer, rank, "the last search"), search)
    if as_json:
        import msgspec

        click.echo(json.dumps(msgspec.to_builtins(found)))
    else:
        click.echo(explanation_text(found))


@plan.command(
    cls=Command,
    examples=("pilotlight plan compare 1 4", "pilotlight plan compare monday.json today.json:2"),
)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@_flags
def compare(
    context: click.Context, /, first: str, second: str, as_json: bool, file: Path | None,
    **flags: Any,
) -> None:  # fmt: skip
    """Put plans A and B side by side: ranks of the last search, or files of `--json`.

    FILE:3 is the third plan of FILE; without a rank the first.
    """
    from pilotlight.cli.question import ask, remembered

    chosen = settings(context, file)
    known: list[Answer] = []

    def last() -> Answer:
        if not known:
            known.append(ask(remembered(chosen), chosen)[0])
        return known[0]

    _print_comparison(_plan_of(first, last), _plan_of(second, last), as_json)


def _plan_of(text: str, last: Callable[[], Answer]) -> Plan:
    from pilotlight.planner.document import plan_at, read

    if text.isdecimal():
        return plan_at(last(), int(text), "the last search")
    name, colon, rank = text.rpartition(":")
    if not (colon and rank.isdecimal()):
        name, rank = text, "1"
    try:
        return plan_at(read(Path(name).read_bytes(), name), int(rank), name)
    except OSError as error:
        raise PlanError(
            f"can't read {name!r}: {error.strerror}", hint="give a rank, or a file of --json"
        ) from None


def _print_comparison(first: Plan, second: Plan, as_json: bool) -> None:
    from pilotlight.cli.plan_text import comparison_text
    from pilotlight.planner.comparison import differences

    found = list(differences(first, second))
    if as_json:
        import msgspec

        tree = {"a": first.name, "b": second.name, "differences": msgspec.to_builtins(found)}
        click.echo(json.dumps(tree))
    else:
        click.echo(comparison_text(first.name, second.name, found))


@plan.command(
    "what-if",
    cls=Command,
    examples=(
        "pilotlight plan what-if --gpu h200 --batch 64",
        "pilotlight plan what-if --rps 20",
    ),
)
@requirement_flags
@_flags
def what_if(context: click.Context, /, as_json: bool, file: Path | None, **flags: Any) -> int:
    """Ask the last search again with some of it otherwise, and compare the best plans."""
    from pilotlight.cli.question import ask, remembered

    changed = given(flags)
    if not changed:
        raise click.UsageError("say what is otherwise, such as --gpu h200", context)
    chosen = settings(context, file)
    question = remembered(chosen)
    before, _ = ask(question, chosen)
    after, _ = ask(question.changed(changed), chosen)
    if not after.plans:
        _print_answer(after, as_json, SHOWN)
        return Exit.FAILURE
    _print_comparison(_best(before), _best(after), as_json)
    return Exit.OK


def _best(answer: Answer) -> Plan:
    from pilotlight.planner.document import plan_at

    return plan_at(answer, 1, "the last search")


plan.add_command(check)
plan.add_command(learn)
