"""`pilotlight version`."""

from __future__ import annotations

import json

import click

from pilotlight import __version__
from pilotlight.cli.command import Command


@click.command(cls=Command, examples=("pilotlight version", "pilotlight version --json"))
@click.option("--json", "as_json", is_flag=True, help="print JSON, with the Python it runs on")
def version(as_json: bool) -> None:
    """Print the version."""
    if not as_json:
        click.echo(f"pilotlight {__version__}")
        return
    import platform

    facts = {
        "pilotlight": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    click.echo(json.dumps(facts))
