"""`pilotlight bench show`: reports again, of this tool or of another, in the same terms."""

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
        "pilotlight bench show report.json",
        "pilotlight bench show guidellm.json vllm.json report.json --html all.html",
    ),
)
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@page_flags
def show(files: tuple[Path, ...], as_json: bool, **flags: Any) -> None:
    """Show FILES: reports of `pilotlight bench`, GuideLLM, vLLM bench, AIPerf or inference-perf.

    The first is what the others are held against.
    """
    check_output(flags)
    reports = read_reports(files)
    write_pages(reports, flags)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(reports))
        return
    print_summary(reports)


def read_reports(files: tuple[Path, ...]) -> tuple[Report, ...]:
    """Raises BenchError: one can't be read, or is none."""
    from pilotlight.bench.files import read

    return tuple(report for path in files for report in read(path))
