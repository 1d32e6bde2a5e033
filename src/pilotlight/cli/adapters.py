"""`pilotlight adapters`: the LoRA adapters of a running server, while it serves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from pilotlight.cli.client import server_flags, the_server
from pilotlight.cli.command import Command, CommandGroup, above
from pilotlight.cli.connection import ask
from pilotlight.cli.exits import Exit
from pilotlight.cli.table import table
from pilotlight.core import ModelRef

_PATH = "/pilotlight/v1/adapters"
_EXITS = (Exit.UNREACHABLE, Exit.NOT_FOUND, Exit.NOT_ALLOWED)


@click.group(
    cls=CommandGroup,
    examples=("pilotlight adapters", "pilotlight adapters --json"),
    exits=(Exit.UNREACHABLE, Exit.NOT_ALLOWED),
)
@click.option("--json", "as_json", is_flag=True, help="print the server's answer as JSON")
@server_flags
@click.pass_context
def adapters(context: click.Context, /, as_json: bool, **flags: Any) -> None:
    """List the LoRA adapters of the running server's models."""
    if above(context):
        return
    answer = ask(the_server(context), "GET", _PATH)
    click.echo(json.dumps(answer) if as_json else show_adapters(answer))


def show_adapters(answer: Mapping[str, Any]) -> str:
    found = answer["adapters"]
    rows = [
        (item["id"], item["state"], "file" if item["declared"] else "added", item["ref"])
        for item in found
    ]
    errors = [f"{item['id']}: {item['error']}" for item in found if item["error"]]
    return "\n".join([table(("ADAPTER", "STATE", "FROM", "REF"), rows), *errors])


@adapters.command(
    "add",
    cls=Command,
    examples=("pilotlight adapters add smollm2:135m:support ./support-lora.gguf",),
    exits=_EXITS,
)
@click.argument("name", metavar="MODEL:ADAPTER")
@click.argument("ref")
@click.option("--digest", metavar="SHA256", help="sha256:<hex> the file must have")
@click.option("--json", "as_json", is_flag=True, help="print the server's answer as JSON")
@server_flags
@click.pass_context
def add(
    context: click.Context, /, name: str, ref: str, digest: str | None, as_json: bool, **flags: Any
) -> None:
    """Lay the LoRA at REF over a model, as MODEL:ADAPTER; returns when every replica has it.

    It is checked first, and kept over restarts. Requests that are being served go on.
    """
    model, _, adapter = name.rpartition(":")
    if not model:
        raise click.UsageError(f"{name!r} names no adapter: write MODEL:ADAPTER", context)
    body = {"model": model, "adapter": adapter, "ref": _absolute(ref), "digest": digest}
    asked = {field: value for field, value in body.items() if value is not None}
    answer = ask(the_server(context), "POST", _PATH, asked, timeout_s=None)
    click.echo(json.dumps(answer) if as_json else f"{answer['id']} is {answer['state']}")


def _absolute(ref: str) -> str:
    """A path means this command's directory, not the server's."""
    parsed = ModelRef.parse(ref)
    if parsed.scheme != "file":
        return ref
    return str(ModelRef("file", str(Path(parsed.locator).expanduser().absolute())))


@adapters.command(
    "remove",
    cls=Command,
    examples=("pilotlight adapters remove smollm2:135m:support",),
    exits=_EXITS,
)
@click.argument("name", metavar="MODEL:ADAPTER")
@click.option("--json", "as_json", is_flag=True, help="print the server's answer as JSON")
@server_flags
@click.pass_context
def remove(context: click.Context, /, name: str, as_json: bool, **flags: Any) -> None:
    """Serve nobody with MODEL:ADAPTER any more. Its file stays where it is."""
    answer = ask(the_server(context), "DELETE", f"{_PATH}/{quote(name, safe='')}", timeout_s=None)
    click.echo(json.dumps(answer) if as_json else f"{answer['id']} is removed")
