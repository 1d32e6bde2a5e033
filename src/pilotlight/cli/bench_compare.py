"""`pilotlight bench compare`: two reports, and whether there is a difference at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.bench_output import check_output, page_flags, print_summary, write_pages
from pilotlight.cli.command import Command

if TYPE_CHECKING:
    from pilotlight.bench.report import Report


@click.command(
    cls=Command,
    examples=(
        "pilotlight bench compare before.json after.json",
        "pilotlight bench compare main.json branch.json --markdown comparison.md",
    ),
)
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@page_flags
def compare(a: Path, b: Path, as_json: bool, **flags: Any) -> None:
    """Hold report B against report A: ratios with their intervals, load by load.

    Where an interval holds 1 it says "no difference": the runs can't tell one.
    """
    from pilotlight.bench.compare import compare as compared

    check_output(flags)
    first, second = _sole(a), _sole(b)
    found = compared(first, second)
    write_pages((first, second), flags)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(found))
    else:
        print_summary((first, second))


def _sole(path: Path) -> Report:
    from pilotlight.bench.files import read
    from pilotlight.errors import BenchError

    reports = read(path)
    if len(reports) != 1:
        raise BenchError(
            f"{str(path)!r} holds {len(reports)} reports", hint="compare files of one each"
        )
    return reports[0]
