"""`pilotlight eval`: how near a model comes to its reference."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.bench_output import check_output
from pilotlight.cli.bench_target import Chosen, choose, opened, target_flags
from pilotlight.cli.command import Command
from pilotlight.cli.evaluate_text import Watched, quality_text
from pilotlight.cli.exits import Exit
from pilotlight.cli.flags import config_file, setting_flags, settings
from pilotlight.cli.interruption import stopped_alike

if TYPE_CHECKING:
    from pilotlight.bench.quality_facts import Quality
    from pilotlight.bench.report import Report
    from pilotlight.bench.subjects.subject import Subject
    from pilotlight.config import Settings
    from pilotlight.quality.evaluation import Exam, Side

_FILE = click.Path(path_type=Path, dir_okay=False)
_ALONE = "itself alone"


@click.command(
    name="eval",
    cls=Command,
    examples=(
        "pilotlight eval ./model.Q4_K_M.gguf --reference ./model.F16.gguf",
        "pilotlight eval llama-3.2-1b@Q4_K_M --reference llama-3.2-1b@Q8_0 --report bench.json",
        "pilotlight eval http://127.0.0.1:8080 --model small --task questions.jsonl --no-text",
    ),
    exits=(Exit.UNREACHABLE, Exit.NOT_ALLOWED),
)
@click.argument("target")
@click.option("--reference", metavar="TARGET", help="the model that it should say the same as")
@click.option("--reference-model", metavar="NAME", help="as --model, of the reference")
@click.option("--reference-engine", metavar="KIND", help="as --engine, of the reference")
@click.option(
    "--reference-option", "reference_options", metavar="KEY=VALUE", multiple=True,
    help="as --option, of the reference; may be repeated",
)  # fmt: skip
@click.option(
    "--text", "texts", type=_FILE, metavar="FILE", multiple=True,
    help="compare on this text; may be repeated  [default: 50 prompts of ours]",
)  # fmt: skip
@click.option("--no-text", is_flag=True, help="compare by tasks alone")
@click.option(
    "--task", "tasks", type=_FILE, metavar="FILE", multiple=True,
    help="JSON lines of questions with choices, or with exact answers; may be repeated",
)  # fmt: skip
@click.option(
    "--positions", type=click.IntRange(1), default=500, show_default=True, metavar="N",
    help="about so many places in the texts",
)  # fmt: skip
@click.option("--out", type=_FILE, metavar="FILE", help="write the result as JSON")
@click.option("--report", type=_FILE, metavar="FILE", help="put the result into this bench report")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@target_flags
@config_file
@setting_flags("data_dir", "catalog", "store.directory", "engines.directory")
@click.pass_context
def evaluate(context: click.Context, /, file: Path | None, target: str, **flags: Any) -> None:
    """Compare TARGET with its reference: what both say next, given the same text.

    Both are addresses, models to start (one after the other), or names of --config or of the
    catalog, as for `pilotlight bench`. The reference is asked first. Without one, TARGET's own
    perplexity and answers are told.
    """
    from pilotlight.durable import write_text

    _check_reference(flags)
    check_output(flags)
    report = _report(flags["report"]) if flags["report"] else None
    exam = asyncio.run(_exam(flags))
    chosen = settings(context, file)
    subject = choose(target, flags, chosen, file)
    reference = _reference(flags, chosen, file)
    found = _examined(subject, reference, exam, chosen, file)
    tree = _document(found)
    click.echo(tree if flags["as_json"] else quality_text(found))
    if flags["out"]:
        write_text(flags["out"], tree + "\n", 0o644)
        click.echo(f"wrote {flags['out']}", err=True)
    if report is not None:
        from pilotlight.bench.files import write

        write(replace(report, quality=found), flags["report"])
        click.echo(f"put it into {flags['report']}", err=True)


async def _exam(flags: Mapping[str, Any]) -> Exam:
    from pilotlight.quality.evaluation import Exam
    from pilotlight.quality.passages import built_in, from_file
    from pilotlight.quality.tasks import read_task

    if flags["no_text"] and flags["texts"]:
        raise click.UsageError("--text and --no-text exclude each other")
    if flags["no_text"] and not flags["tasks"]:
        raise click.UsageError("nothing to compare: --no-text takes a --task")
    texts: tuple[str, ...] = ()
    if not flags["no_text"]:
        given = tuple(text for path in flags["texts"] for text in from_file(path))
        texts = given or await built_in()
    tasks = tuple(read_task(path) for path in flags["tasks"])
    return Exam(texts=texts, tasks=tasks, positions=flags["positions"])


def _check_reference(flags: Mapping[str, Any]) -> None:
    for name in ("model", "engine", "options"):
        if flags[f"reference_{name}"] and not flags["reference"]:
            flag = name.removesuffix("s")
            raise click.UsageError(f"--reference-{flag} means nothing without --reference")


def _reference(flags: Mapping[str, Any], settings: Settings, file: Path | None) -> Chosen | None:
    if not flags["reference"]:
        return None
    other = {
        **flags,
        **dict.fromkeys(("name", "rank", "ref", "url")),
        "model": flags["reference_model"],
        "engine": flags["reference_engine"],
        "options": flags["reference_options"],
    }
    return choose(flags["reference"], other, settings, file)


def _examined(
    subject: Chosen, reference: Chosen | None, exam: Exam, settings: Settings, file: Path | None
) -> Quality:
    """One side after the other, so that both never have to fit into memory together."""
    from pilotlight.quality.evaluation import judge

    with stopped_alike(), Watched() as watched:
        other = _side(reference, exam, settings, file, None, watched) if reference else None
        own = _side(subject, exam, settings, file, other, watched)
    if other is not None and other.name == own.name:
        other = replace(other, name=f"{other.name} (the reference)")
    found = judge(own, other, exam.tasks)
    return found if other else replace(found, reference=_ALONE)


def _side(
    chosen: Chosen,
    exam: Exam,
    settings: Settings,
    file: Path | None,
    like: Side | None,
    watched: Watched,
) -> Side:
    from pilotlight.bench.target import Target
    from pilotlight.quality.evaluation import examine

    with opened(chosen, settings, file) as subject:
        asked = Target(url=subject.url, model=subject.model, key=subject.key)
        return asyncio.run(examine(_name(subject), asked, exam, like, watched.say))


def _name(subject: Subject) -> str:
    quantization = subject.quantization
    if not quantization or quantization.lower() in subject.name.lower():
        return subject.name
    return f"{subject.name} {quantization}"


def _document(found: Quality) -> str:
    import msgspec

    from pilotlight.bench.quality_facts import FORMAT

    tree = {"format": FORMAT, **msgspec.to_builtins(found)}
    return msgspec.json.format(msgspec.json.encode(tree), indent=2).decode()


def _report(path: Path) -> Report:
    """Read before anything is measured. Raises BenchError: it is none of ours."""
    from pilotlight.bench.files import read
    from pilotlight.errors import BenchError

    found = read(path)
    if len(found) != 1 or found[0].tool != "pilotlight":
        raise BenchError(
            f"{str(path)!r} is no report of pilotlight bench",
            hint="make one with: pilotlight bench TARGET --out report.json",
        )
    return found[0]
