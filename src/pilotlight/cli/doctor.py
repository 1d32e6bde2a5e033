"""`pilotlight doctor`: what is wrong with this machine, and how to mend it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.command import Command
from pilotlight.cli.connection import running_url
from pilotlight.cli.exits import Exit
from pilotlight.cli.flags import config_file, setting_flags, settings

if TYPE_CHECKING:
    from pilotlight.doctor.checks import Finding

_COLORS: Mapping[str, str] = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command(
    cls=Command,
    examples=("pilotlight doctor", "pilotlight doctor --config pilotlight.yaml --json"),
)
@click.option("--json", "as_json", is_flag=True, help="print the findings as JSON")
@config_file
@setting_flags("host", "port", "data_dir", "engines")
@click.pass_context
def doctor(context: click.Context, /, as_json: bool, file: Path | None, **flags: Any) -> int:
    """Check whether this machine can serve models well.

    Exits 0 unless a check fails; a warning is advice.
    """
    from pilotlight.doctor.checks import Verdict, examine
    from pilotlight.doctor.gather import gather

    chosen = settings(context, file)
    url = running_url(chosen.data_dir / "server.json")
    findings = examine(gather(chosen, url, os.environ))
    if as_json:
        click.echo(json.dumps({"checks": [asdict(finding) for finding in findings]}))
    else:
        show(findings)
    failed = any(finding.verdict is Verdict.FAIL for finding in findings)
    return Exit.FAILURE if failed else Exit.OK


def show(findings: Iterable[Finding]) -> None:
    for finding in findings:
        verdict = click.style(f"{finding.verdict:4}", fg=_COLORS[finding.verdict])
        click.echo(f"{verdict}  {finding.name}: {finding.found}")
        if finding.mend:
            click.echo(f"      hint: {finding.mend}")
