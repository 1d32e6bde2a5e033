"""`pilotlight config`: check a configuration, and print what one can hold."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from pilotlight import config as configuration
from pilotlight.cli import documents
from pilotlight.cli.command import Command, Group
from pilotlight.cli.effective import effective
from pilotlight.cli.flags import given, setting_flags
from pilotlight.cli.table import table
from pilotlight.config import Settings
from pilotlight.errors import EngineMissingError


@click.group(cls=Group)
def config() -> None:
    """Check a configuration, and print what one can hold."""


@config.command(
    cls=Command,
    examples=(
        "pilotlight config check pilotlight.yaml",
        "pilotlight config check pilotlight.yaml --port 9000 --json",
    ),
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@setting_flags()
@click.pass_context
def check(context: click.Context, /, file: Path | None, as_json: bool, **flags: Any) -> None:
    """Check FILE, the environment and the flags, and show every setting in force.

    Each comes with the place that decided it. Values of secrets are never shown.
    """
    chosen = given(context)
    settings = configuration.load(file, flags=chosen)
    unchecked = _check_models(settings)
    _check_deploy(settings, str(file))
    rows = effective(settings, file=file, flags=chosen, environ=os.environ)
    if as_json:
        click.echo(json.dumps({"settings": [asdict(row) for row in rows]}))
    else:
        cells = [(row.path, row.value, row.origin) for row in rows]
        click.echo(table(("SETTING", "VALUE", "FROM"), cells))
    for note in unchecked:
        click.echo(f"note: {note}", err=True)


def _check_models(settings: Settings) -> list[str]:
    """Let each engine judge its models' options; says which ones nobody could judge.

    Raises:
        ConfigError, EngineOptionError: an unknown engine, an option it doesn't have.
    """
    from pilotlight.engines.registry import Engines
    from pilotlight.gateway.prices import bills
    from pilotlight.machine import survey

    engines = Engines(settings.engines, survey())
    unchecked = []
    for name, model in settings.models.items():
        try:
            engines.get(model.engine).options(model.options)
        except EngineMissingError as error:
            unchecked.append(f"models.{name}.options not checked: {error.message}")
    if not unchecked:
        bills(settings.models, engines)
    return unchecked


def _check_deploy(settings: Settings, source: str) -> None:
    """Raises ConfigError: a key or a value that no target has."""
    if settings.deploy:
        from pilotlight.deploy.section import check

        check(settings.deploy, source)


@config.command(cls=Command, examples=("pilotlight config example > pilotlight.yaml",))
def example() -> None:
    """Print a configuration file with every setting."""
    click.echo(documents.example(), nl=False)


@config.command(cls=Command, examples=("pilotlight config reference",))
def reference() -> None:
    """Print the reference of all settings, as Markdown."""
    click.echo(documents.reference(), nl=False)
