"""`pilotlight models`, `models show`, `load` and `stop`: the models of a running server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from pilotlight.cli.client import server_flags, the_server
from pilotlight.cli.command import Command, CommandGroup, above
from pilotlight.cli.completion import complete_model
from pilotlight.cli.connection import ask
from pilotlight.cli.description import find, show_model
from pilotlight.cli.exits import Exit
from pilotlight.cli.table import table
from pilotlight.quantities import about_bytes, about_seconds

_EXITS = (Exit.UNREACHABLE, Exit.NOT_FOUND, Exit.NOT_ALLOWED)


@click.group(
    cls=CommandGroup,
    examples=("pilotlight models", "pilotlight models --json"),
    exits=(Exit.UNREACHABLE, Exit.NOT_ALLOWED),
)
@click.option("--json", "as_json", is_flag=True, help="print the server's answer as JSON")
@server_flags
@click.pass_context
def models(context: click.Context, /, as_json: bool, **flags: Any) -> None:
    """List the models of the running server, loaded or not."""
    if above(context):
        return
    answer = ask(the_server(context), "GET", "/pilotlight/v1/models")
    click.echo(json.dumps(answer) if as_json else show_models(answer))


def show_models(answer: Mapping[str, Any]) -> str:
    rows = [
        (
            model["name"],
            ",".join(model["aliases"]),
            model["state"],
            about_bytes(model["size_bytes"]) if model["size_bytes"] is not None else "",
            str(model["context"] or ""),
            model["build"] or model["engine"],
            model["ref"],
        )
        for model in answer["models"]
    ]
    return table(("MODEL", "ALIASES", "STATE", "SIZE", "CONTEXT", "ENGINE", "REF"), rows)


@models.command(
    "show",
    cls=Command,
    examples=("pilotlight models show smollm2:135m", "pilotlight models show smollm2:135m --json"),
    exits=_EXITS,
)
@click.argument("model", shell_complete=complete_model)
@click.option("--json", "as_json", is_flag=True, help="print the model's entry as JSON")
@server_flags
@click.pass_context
def show(context: click.Context, /, model: str, as_json: bool, **flags: Any) -> None:
    """Show what MODEL can do on its engine, and what it takes."""
    answer = ask(the_server(context), "GET", "/pilotlight/v1/models")
    entry = find(answer["models"], model)
    click.echo(json.dumps(entry) if as_json else show_model(entry))


@click.command(cls=Command, examples=("pilotlight load smollm2:135m",), exits=_EXITS)
@click.argument("model", shell_complete=complete_model)
@click.option("--json", "as_json", is_flag=True, help="print the server's answer as JSON")
@server_flags
@click.pass_context
def load(context: click.Context, /, model: str, as_json: bool, **flags: Any) -> None:
    """Load MODEL now; returns when it is ready."""
    answer = ask(
        the_server(context), "POST", "/pilotlight/v1/load", {"model": model}, timeout_s=None
    )
    click.echo(
        json.dumps(answer)
        if as_json
        else f"{answer['model']} is {answer['state']} after {about_seconds(answer['seconds'])}"
    )


@click.command(cls=Command, examples=("pilotlight stop smollm2:135m",), exits=_EXITS)
@click.argument("model", shell_complete=complete_model)
@click.option("--json", "as_json", is_flag=True, help="print the server's answer as JSON")
@server_flags
@click.pass_context
def stop(context: click.Context, /, model: str, as_json: bool, **flags: Any) -> None:
    """Take MODEL out of memory.

    Its requests in flight get up to the server's `drain` seconds to finish, and the
    next request for it loads it again.
    """
    answer = ask(
        the_server(context), "POST", "/pilotlight/v1/stop", {"model": model}, timeout_s=None
    )
    stopped = answer["stopped"]
    plural = "replica" if stopped == 1 else "replicas"
    click.echo(json.dumps(answer) if as_json else f"{answer['model']}: stopped {stopped} {plural}")
