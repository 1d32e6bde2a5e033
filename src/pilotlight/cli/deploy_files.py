"""Rendered files, written to a folder and told one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pilotlight.deploy.folder import Rendering
    from pilotlight.deploy.resources import Files


def write_files(files: Files, folder: Path, dry_run: bool, as_json: bool) -> None:
    from pilotlight.deploy.folder import compare, write

    rendering = compare(files, folder)
    if not dry_run:
        write(rendering, folder)
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "files": rendering.fates}))
        return
    for name, fate in rendering.fates.items():
        click.echo(f"{fate:8} {folder / name}")
    click.echo(_outcome(rendering, dry_run), err=True)


def _outcome(rendering: Rendering, dry_run: bool) -> str:
    due = sum(fate != "same" for fate in rendering.fates.values())
    verb = "would change" if dry_run else "changed"
    return f"{verb} {due} of {len(rendering.fates)} files"
