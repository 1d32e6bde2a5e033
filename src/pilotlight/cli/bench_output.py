"""Where a report goes: a terminal, JSON, a page, markdown."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pilotlight.cli.flags import with_options
from pilotlight.durable import write_text

if TYPE_CHECKING:
    from pilotlight.bench.report import Report

_F = TypeVar("_F", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, dir_okay=False)
_PAGES = (
    click.option("--html", type=_FILE, metavar="FILE", help="write a page with charts"),
    click.option("--markdown", type=_FILE, metavar="FILE", help="write it for a pull request"),
    click.option("--json", "as_json", is_flag=True, help="print JSON"),
)  # fmt: skip
_OUT = click.option(
    "--out", type=_FILE, metavar="FILE", help="write the report, which show and compare read"
)
FILES = ("out", "html", "markdown")


def page_flags(function: _F) -> _F:
    return with_options(function, _PAGES)


def output_flags(function: _F) -> _F:
    return _OUT(page_flags(function))


def check_output(flags: Mapping[str, Any], names: Sequence[str] = FILES) -> None:
    """Before anything is measured. Raises click.UsageError."""
    for name in names:
        path: Path | None = flags.get(name)
        if path is not None and (trouble := _trouble(path)):
            raise click.UsageError(f"--{name}: {trouble}")


def _trouble(path: Path) -> str | None:
    """Why there will be no file; none where that can't be told beforehand."""
    directory = path.absolute().parent
    if not directory.is_dir():
        return f"there is no directory {str(path.parent)!r}"
    if not os.access(directory, os.W_OK):
        return f"{str(path.parent)!r} can't be written to"
    # A file is replaced whole, which would take the place of a device too.
    return f"{str(path)!r} is no file" if path.exists() and not path.is_file() else None


def write_output(reports: Sequence[Report], flags: Mapping[str, Any]) -> None:
    """What was measured goes to its file first, and is shown even where that can't be written."""
    from pilotlight.bench.files import encode, write

    try:
        if flags.get("out") is not None:
            write(reports[0], flags["out"])
            click.echo(f"wrote {flags['out']}", err=True)
        write_pages(reports, flags)
    finally:
        if flags["as_json"]:
            click.echo(encode(reports[0]))
        else:
            print_summary(reports)


def write_pages(
    reports: Sequence[Report], flags: Mapping[str, Any], *, rounds: bool = False
) -> None:
    if flags["html"] is not None:
        from pilotlight.bench.page.page import page

        write_text(flags["html"], page(reports, rounds=rounds), mode=0o644)
        click.echo(f"wrote {flags['html']}", err=True)
    if flags["markdown"] is not None:
        from pilotlight.bench.markdown import markdown

        write_text(flags["markdown"], markdown(reports, rounds=rounds), mode=0o644)
        click.echo(f"wrote {flags['markdown']}", err=True)


def print_summary(reports: Sequence[Report], *, rounds: bool = False) -> None:
    """`rounds`: the reports were made in turns, so that their runs are pairs."""
    import shutil

    from pilotlight.bench.summary import summary

    click.echo(summary(reports, shutil.get_terminal_size().columns, rounds=rounds))


def command_line() -> str:
    """How to do it again. No secret is ever on a command line of ours."""
    return shlex.join(["pilotlight", *sys.argv[1:]])
