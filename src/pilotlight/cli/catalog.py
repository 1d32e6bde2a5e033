"""`pilotlight catalog`: the dated facts that plans are made from."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.command import Command, Group
from pilotlight.cli.flags import config_file, setting_flags, settings
from pilotlight.cli.table import table
from pilotlight.errors import ConfigError

if TYPE_CHECKING:
    from pilotlight.catalog import Catalog
    from pilotlight.catalog.age import Stale
    from pilotlight.catalog.references import Broken
    from pilotlight.catalog.table import Table

_Function = Callable[..., Any]


def _flags(function: _Function) -> _Function:
    """The options that every one of these commands has."""
    attached = setting_flags("data_dir", "catalog")(click.pass_context(function))
    as_json = click.option("--json", "as_json", is_flag=True, help="print JSON")
    return as_json(config_file(attached))


def _load(context: click.Context, file: Path | None, more: Sequence[Path] = ()) -> Catalog:
    from pilotlight.catalog import files_of, load

    chosen = settings(context, file)
    return load((*files_of(chosen.data_dir, map(Path, chosen.catalog)), *more))


@click.group(cls=Group)
def catalog() -> None:
    """List, show and check the dated facts that plans are made from.

    Models, GPUs, CPUs, quantizations, platforms with their prices, API prices and service
    levels. Files of your own override and add rows.
    """


@catalog.command(
    "list",
    cls=Command,
    examples=(
        "pilotlight catalog list",
        "pilotlight catalog list gpus",
        "pilotlight catalog list models qwen --json",
    ),
)
@click.argument("kind", required=False)
@click.argument("text", required=False)
@_flags
def list_rows(
    context: click.Context,
    /,
    kind: str | None,
    text: str | None,
    as_json: bool,
    file: Path | None,
    **flags: Any,
) -> None:
    """List the rows of KIND, or the kinds; of the rows those with TEXT in their name or title."""
    loaded = _load(context, file)
    if kind is None:
        _print_kinds(loaded, as_json)
    else:
        _print_rows(_table(loaded, kind), (text or "").lower(), as_json)


def _print_kinds(loaded: Catalog, as_json: bool) -> None:
    days = {name: [row.as_of for row in rows.values()] for name, rows in loaded.tables.items()}
    found = [
        {
            "kind": name,
            "rows": len(dates),
            "oldest": str(min(dates, default="")),
            "newest": str(max(dates, default="")),
        }
        for name, dates in days.items()
    ]
    if as_json:
        click.echo(json.dumps({"kinds": found}))
        return
    cells = [tuple(map(str, entry.values())) for entry in found]
    click.echo(table(("KIND", "ROWS", "OLDEST", "NEWEST"), cells))


def _table(loaded: Catalog, kind: str) -> Table[Any]:
    if kind not in loaded.tables:
        raise ConfigError(f"no kind {kind!r}", hint=f"kinds are {', '.join(loaded.tables)}")
    return loaded.tables[kind]


def _print_rows(rows: Table[Any], text: str, as_json: bool) -> None:
    from pilotlight.cli.catalog_rows import COLUMNS, entry

    chosen = [
        row for row in rows.values() if text in f"{row.name} {getattr(row, 'title', '')}".lower()
    ]
    if as_json:
        click.echo(json.dumps({rows.kind.name: [entry(row) for row in chosen]}))
        return
    header, cells = COLUMNS[rows.kind.name]
    lines = [(row.name, *cells(row), str(row.as_of)) for row in chosen]
    click.echo(table(("NAME", *header, "AS OF"), lines))


@catalog.command(
    cls=Command,
    examples=(
        "pilotlight catalog show h100-sxm",
        "pilotlight catalog show models/gpt-oss-20b --json",
    ),
)
@click.argument("name")
@_flags
def show(
    context: click.Context, /, name: str, as_json: bool, file: Path | None, **flags: Any
) -> None:
    """Show every field of the row NAME, its source and its date.

    NAME may be an alias, or KIND/NAME where several kinds have a row of that name.
    """
    from pilotlight.cli.catalog_rows import entry, lines

    found = _find(_load(context, file), name)
    if as_json:
        click.echo(json.dumps([{"kind": kind, **entry(row)} for kind, row in found]))
        return
    blocks = ["\n".join(lines(kind, row)) for kind, row in found]
    click.echo("\n\n".join(blocks))


def _find(loaded: Catalog, name: str) -> list[tuple[str, Any]]:
    kind, slash, rest = name.partition("/")
    if slash and kind in loaded.tables:
        return [(kind, loaded.tables[kind].find(rest))]
    found = [(kind, rows.seek(name)) for kind, rows in loaded.tables.items()]
    known = [(kind, row) for kind, row in found if row is not None]
    if not known:
        raise ConfigError(f"no row {name!r} in the catalog", hint=_nearest(loaded, name))
    return known


def _nearest(loaded: Catalog, name: str) -> str:
    """The closest names over all kinds."""
    near = {close: kind for kind, rows in loaded.tables.items() for close in rows.nearest(name)}
    best = difflib.get_close_matches(name, near, n=3, cutoff=0)
    named = " or ".join(f"{near[close]}/{close}" for close in best)
    return f"did you mean {named}?" if best else "pilotlight catalog list KIND shows what there is"


@catalog.command(
    cls=Command,
    examples=(
        "pilotlight catalog check",
        "pilotlight catalog check prices.yaml --strict",
        "pilotlight catalog check --on 2027-06-01 --json",
    ),
)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option(
    "--on",
    "day",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d"]),
    help="the day that ages are counted to  [default: today]",
)
@click.option("--strict", is_flag=True, help="fail for rows that are out of date, too")
@_flags
def check(
    context: click.Context,
    /,
    files: tuple[Path, ...],
    day: datetime | None,
    strict: bool,
    as_json: bool,
    file: Path | None,
    **flags: Any,
) -> None:
    """Check the catalog with your files and FILEs over it, and name rows that are out of date.

    Prices deserve another look after 90 days, what engines support after two years.
    """
    from pilotlight.catalog.age import stale
    from pilotlight.catalog.references import broken

    loaded = _load(context, file, files)
    old = stale(loaded, day.date() if day else date.today())
    wrong = list(broken(loaded))
    if as_json:
        found = {"broken": [asdict(row) for row in wrong], "stale": [_dated(row) for row in old]}
        click.echo(json.dumps(found))
    else:
        click.echo("\n".join(_told(loaded, old, wrong)))
    if wrong or (strict and old):
        context.exit(1)


def _dated(row: Stale) -> dict[str, Any]:
    return {**asdict(row), "as_of": str(row.as_of)}


def _told(loaded: Catalog, old: Sequence[Stale], wrong: Sequence[Broken]) -> Iterator[str]:
    for row in wrong:
        yield f"error: {row.kind}.{row.name}: {row.field} is {row.value!r}, not in {row.there}"
    for dated in old:
        where = f"warning: {dated.kind}.{dated.name}"
        if dated.age_days < 0:
            yield f"{where} is dated in the future: {dated.as_of}"
        else:
            limit = f"look again after {dated.limit_days}"
            yield f"{where} is of {dated.as_of}, {dated.age_days} days old ({limit})"
    count = sum(len(rows) for rows in loaded.tables.values())
    yield f"{count} rows, {len(wrong)} broken, {len(old)} out of date"


@catalog.command(
    cls=Command,
    examples=(
        "pilotlight catalog prices --providers",
        "pilotlight catalog prices openai groq > ~/.local/share/pilotlight/catalog/prices.yaml",
    ),
)
@click.argument("providers", nargs=-1, metavar="[PROVIDER]...")
@click.option("--providers", "names", is_flag=True, help="list the providers, and nothing else")
@click.option(
    "--on",
    "day",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d"]),
    help="the day whose prices are wanted  [default: today]",
)
@_flags
def prices(
    context: click.Context,
    /,
    providers: tuple[str, ...],
    names: bool,
    day: datetime | None,
    as_json: bool,
    file: Path | None,
    **flags: Any,
) -> None:
    """Print API prices of the installed genai-prices package as a file for the catalog.

    Of PROVIDERs, or all. The package has them in its wheel; no network is used. Update it with
    pip for newer ones.
    """
    from pilotlight.catalog.published import as_yaml, published
    from pilotlight.cli.catalog_rows import entry

    loaded = _load(context, file)
    found = list(published(loaded.models, day.date() if day else date.today()))
    known = sorted({price.provider for price in found})
    if unknown := next((name for name in providers if name not in known), None):
        raise ConfigError(f"no prices of {unknown!r}", hint=f"providers: {', '.join(known)}")
    chosen = [price for price in found if not providers or price.provider in providers]
    if names:
        click.echo(json.dumps({"providers": known}) if as_json else "\n".join(known))
    elif as_json:
        click.echo(json.dumps({"apis": [entry(price) for price in chosen]}))
    else:
        click.echo(as_yaml(iter(chosen)), nl=False)
