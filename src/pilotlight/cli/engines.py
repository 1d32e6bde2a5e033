"""`pilotlight engines`: install, list, check and remove engines that live apart."""

from __future__ import annotations

import difflib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.command import Command, Group
from pilotlight.cli.doctor import show
from pilotlight.cli.exits import Exit
from pilotlight.cli.flags import config_file, setting_flags, settings
from pilotlight.cli.steps import StepMeter
from pilotlight.cli.table import table

if TYPE_CHECKING:
    from pilotlight.engines.environments import Environment
    from pilotlight.engines.environments.progress import Progress


@click.group(cls=Group)
def engines() -> None:
    """Install, list, check and remove engines that live apart.

    Each has a directory of its own under engines.directory: vllm, transformers, and
    llamacpp-native, which is llama.cpp compiled for this very machine.
    """


@engines.command(
    cls=Command,
    examples=(
        "pilotlight engines install vllm",
        "pilotlight engines install llamacpp-native",
        "pilotlight engines install transformers --build cuda --python /usr/bin/python3.12",
    ),
)
@click.argument("name", metavar="NAME")
@click.option("--force", is_flag=True, help="install again from nothing, although it is there")
@click.option(
    "--build",
    type=click.Choice(["cpu", "cuda"]),
    help="what it computes on  [default: cuda where there is an NVIDIA GPU, else cpu]",
)
@click.option(
    "--python",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="the Python to make it with  [default: the one that runs Pilotlight]",
)
@click.option("--plan", "as_plan", is_flag=True, help="print what would be done, and do nothing")
@click.option("--json", "as_json", is_flag=True, help="print what was installed as JSON")
@config_file
@setting_flags("data_dir", "engines.directory")
@click.pass_context
def install(
    context: click.Context,
    /,
    name: str,
    force: bool,
    build: str | None,
    python: Path | None,
    as_plan: bool,
    as_json: bool,
    file: Path | None,
    **flags: Any,
) -> None:
    """Install the engine NAME, pinned to the versions this Pilotlight was tested with.

    NAME is vllm, transformers or llamacpp-native. An install that was stopped goes on where
    it was, and nothing uses it before it is whole and was seen to run.
    """
    from pilotlight.engines.environments.host import survey_host
    from pilotlight.engines.environments.install import install as perform
    from pilotlight.engines.environments.plan import render
    from pilotlight.engines.environments.recipes import plan
    from pilotlight.machine import survey

    host = survey_host(python)
    wanted = plan(_known(name), survey(), host, build)
    if as_plan:
        click.echo(render(wanted), nl=False)
        return
    for note in wanted.notes:
        click.echo(f"note: {note}", err=True)
    printer = _Printer(name, tty=sys.stderr.isatty())
    try:
        environment = perform(
            _directory(context, file), wanted, host,
            report=printer.report, waiting=printer.waiting, force=force,
        )  # fmt: skip
    finally:
        printer.close()
    _print_installed(environment, as_json)


def _print_installed(environment: Environment, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_entry(environment)))
    else:
        kind = environment.record.variant
        click.echo(f"{environment.name} {environment.version} ({kind}) is in {environment.root}")


@engines.command(
    "list", cls=Command, examples=("pilotlight engines list", "pilotlight engines list --json")
)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@config_file
@setting_flags("data_dir", "engines.directory")
@click.pass_context
def list_engines(context: click.Context, /, as_json: bool, file: Path | None, **flags: Any) -> None:
    """List the engines that can be installed, what is, and those whose server you bring."""
    from pilotlight.engines.environments import find
    from pilotlight.engines.environments.environment import PARTIAL
    from pilotlight.engines.environments.recipes import RECIPES
    from pilotlight.engines.presets import PRESETS

    directory = _directory(context, file)
    entries = []
    for name in RECIPES:
        environment = find(directory, name)
        entry = _entry(environment) if environment else {"name": name}
        begun = any((directory / name).glob(f"*{PARTIAL}"))
        state = "installed" if environment else "unfinished" if begun else "not installed"
        entries.append({**entry, "state": state})
    entries += [{"name": preset.name, "state": preset.standing} for preset in PRESETS.values()]
    if as_json:
        click.echo(json.dumps({"engines": entries}))
        return
    columns = ("name", "version", "build", "state", "path")
    rows = [[str(entry.get(column, "")) for column in columns] for entry in entries]
    click.echo(table([column.upper() for column in columns], rows))


@engines.command(cls=Command, examples=("pilotlight engines remove vllm",))
@click.argument("name", metavar="NAME")
@click.option("--force", is_flag=True, help="even while a process runs from it")
@config_file
@setting_flags("data_dir", "engines.directory")
@click.pass_context
def remove(
    context: click.Context, /, name: str, force: bool, file: Path | None, **flags: Any
) -> int:
    """Remove the engine NAME, finished or not, from the disk."""
    from pilotlight.engines.environments.removal import remove as perform

    if not perform(_directory(context, file), _known(name), force=force):
        click.echo(f"{name} is not installed", err=True)
        return Exit.FAILURE
    click.echo(f"{name} is removed")
    return Exit.OK


@engines.command(
    cls=Command, examples=("pilotlight engines doctor", "pilotlight engines doctor vllm --json")
)
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--json", "as_json", is_flag=True, help="print the findings as JSON")
@config_file
@setting_flags("data_dir", "engines.directory")
@click.pass_context
def doctor(
    context: click.Context, /, name: str | None, as_json: bool, file: Path | None, **flags: Any
) -> int:
    """Check that the installed engines run and are the ones this version would install.

    Exits 0 unless one is broken, or NAME isn't installed.
    """
    from pilotlight.doctor.checks import Verdict
    from pilotlight.doctor.environments import examine_engine, look
    from pilotlight.engines.environments import require
    from pilotlight.engines.environments.host import survey_host
    from pilotlight.engines.environments.recipes import RECIPES
    from pilotlight.machine import survey

    directory, machine, host = _directory(context, file), survey(), survey_host()
    if name is not None:
        require(directory, _known(name))
    looked = [look(each, directory, machine, host) for each in ([name] if name else RECIPES)]
    findings = [finding for facts in looked for finding in examine_engine(facts)]
    if as_json:
        click.echo(json.dumps({"checks": [asdict(finding) for finding in findings]}))
    else:
        show(findings)
    failed = any(finding.verdict is Verdict.FAIL for finding in findings)
    return Exit.FAILURE if failed else Exit.OK


def _directory(context: click.Context, file: Path | None) -> Path:
    directory = settings(context, file).engines.directory
    assert directory is not None, "config.load resolves it"
    return directory


def _known(name: str) -> str:
    from pilotlight.engines.environments.recipes import RECIPES

    if name in RECIPES:
        return name
    raise click.UsageError(f"no engine {name!r} can be installed; {_suggestion(name, [*RECIPES])}")


def _suggestion(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(known)}"


def _entry(environment: Environment) -> Mapping[str, Any]:
    record = environment.record
    return {
        "name": record.name,
        "version": record.version,
        "build": record.variant,
        "path": str(environment.root),
        "digest": record.digest,
        "built_for": list(record.built_for),
        "details": dict(record.details),
    }


class _Printer:
    """Progress on stderr: one line redrawn on a terminal, whole lines elsewhere."""

    def __init__(self, name: str, *, tty: bool) -> None:
        self._name = name
        self._tty = tty
        self._meter = StepMeter(tty=tty)

    def report(self, progress: Progress) -> None:
        line = self._meter.line(progress, time.monotonic())
        if line is not None:
            shown = f"{self._name}: {line}"
            click.echo(f"\r\x1b[K{shown}" if self._tty else shown, nl=not self._tty, err=True)

    def waiting(self) -> None:
        click.echo(f"{self._name}: waiting for another install of it to end", err=True)

    def close(self) -> None:
        if self._tty:
            click.echo("\r\x1b[K", nl=False, err=True)
