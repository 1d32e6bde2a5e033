"""`pilotlight keys`: create, list and revoke the API keys of this machine's server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.command import Command, Group
from pilotlight.cli.exits import Exit
from pilotlight.cli.flags import config_file, data_dir, setting_flags
from pilotlight.cli.table import table
from pilotlight.quantities import parse_seconds

if TYPE_CHECKING:
    from pilotlight.gateway.keys import Key, KeyStore, Role


@click.group(cls=Group)
def keys() -> None:
    """Create, list and revoke API keys."""


def _store(context: click.Context, file: Path | None) -> KeyStore:
    from pilotlight.gateway.keys import KeyStore

    return KeyStore(data_dir(context, file) / "keys.json")


def _read_lifetime(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> float | None:
    if value is None:
        return None
    try:
        seconds = parse_seconds(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no duration such as 12h or 30d") from None
    if not 0 < seconds < float("inf"):
        raise click.BadParameter("leave it out for a key that doesn't expire")
    return seconds


@keys.command(
    cls=Command,
    examples=(
        "pilotlight keys create --name laptop",
        "pilotlight keys create --admin --expires 30d",
    ),
)
@click.option("--name", metavar="NAME", default="", help="a note on who or what uses the key")
@click.option("--admin", is_flag=True, help="may also load and stop models")
@click.option(
    "--private", is_flag=True, help="its requests never overflow: they wait for the model they ask"
)
@click.option(
    "--expires",
    "expires_s",
    metavar="DURATION",
    callback=_read_lifetime,
    help="time from now until the key stops working, such as 12h or 30d  [default: never]",
)
@click.option("--json", "as_json", is_flag=True, help="print the key and its entry as JSON")
@config_file
@setting_flags("data_dir")
@click.pass_context
def create(
    context: click.Context,
    /,
    name: str,
    admin: bool,
    private: bool,
    expires_s: float | None,
    as_json: bool,
    file: Path | None,
    **flags: Any,
) -> None:
    """Create a key and print it.

    It is shown this once: only its hash is kept.
    """
    role: Role = "admin" if admin else "user"
    key, text = _store(context, file).create(name, role, expires_s, private=private)
    if as_json:
        click.echo(json.dumps({**_entry(key), "key": text}))
        return
    click.echo(text)
    kind = f"private {key.role}" if private else key.role
    click.echo(
        f"{kind} key {key.id}: keep it now, it can't be shown again; "
        f"clients send it as Authorization: Bearer {text[:6]}…",
        err=True,
    )


@keys.command("list", cls=Command, examples=("pilotlight keys list", "pilotlight keys list --json"))
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@config_file
@setting_flags("data_dir")
@click.pass_context
def list_keys(context: click.Context, /, as_json: bool, file: Path | None, **flags: Any) -> None:
    """List the keys, never their text."""
    entries = [_entry(key) for key in _store(context, file).list()]
    if as_json:
        click.echo(json.dumps({"keys": entries}))
        return
    columns = ("id", "name", "role", "private", "created", "expires", "state")
    rows = [[_cell(entry[column]) for column in columns] for entry in entries]
    click.echo(table([column.upper() for column in columns], rows))


@keys.command(cls=Command, examples=("pilotlight keys revoke x7k2m9qa",), exits=(Exit.NOT_FOUND,))
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="print the key's entry as JSON")
@config_file
@setting_flags("data_dir")
@click.pass_context
def revoke(
    context: click.Context, /, id: str, as_json: bool, file: Path | None, **flags: Any
) -> None:
    """Revoke the key ID.

    A running server refuses it from its next request on.
    """
    key = _store(context, file).revoke(id)
    click.echo(json.dumps(_entry(key)) if as_json else f"revoked {key.id}")


def _cell(value: Any) -> str:
    return "yes" if value is True else str(value or "")


def _entry(key: Key) -> Mapping[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "private": key.private,
        "created": _date(key.created_s),
        "expires": _date(key.expires_s),
        "revoked": _date(key.revoked_s),
        "state": _state(key),
    }


def _state(key: Key) -> str:
    if key.revoked_s is not None:
        return "revoked"
    return "works" if key.usable(datetime.now(UTC).timestamp()) else "expired"


def _date(seconds: float | None) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds") if seconds else None
